"""Components (contract section 13): list, read, create, change, delete."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyrack.errors import AlreadyExists, Forbidden, NotFound, Problem, RelatedNotFound, ValidationFailed
from keyrack.model.components import Component, ComponentAccess
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_TEAMS
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.service.authz.task_users import READ_COMPONENTS
from keyrack.service.authz.usage_guard import require_component_unused
from keyrack.service.components.visibility import (
    EDIT,
    ComponentVisibility,
    contract_view,
    own_component,
    seen_in_workspace,
)
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractRows
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.validation.unvalidated import Unvalidated


@dataclass(frozen=True, slots=True)
class NewComponent:
    """What a caller sends to create a component."""

    team_id: str
    contract_id: str | None
    name: str
    attributes: Mapping[str, Any]
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedComponent:
    """What a caller sends to change one; None keeps what is stored."""

    access: ComponentAccess | None
    whitelisted_contract_ids: Sequence[str] | None


class Components:
    """Use cases of contract section 13 but for builds and environment variables."""

    def __init__(self, access: Access, components: ComponentVisibility) -> None:
        self._access = access
        self._components = components

    async def of_contract(
        self, who: Principal, contract_id: str, which: str, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Component], int]:
        """List what a contract has: `private` (its own), `public` (others'), or `all` (13.2); a page and the total."""
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members of the contract can list")
            wanted = ComponentFilter(
                had_at=contract_view(scope.unit, contract_id),
                own={"private": True, "public": False}.get(which),
            )
            return await ComponentList(scope.unit).page(wanted, leave_out=True, limit=limit, offset=offset)

    async def of_workspace(
        self, who: Principal, workspace_id: str, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Component], int]:
        """List what a workspace has (13.2), to a task user what flows of it name (section 2); a page and the total."""
        async with self._access.workspace(who, workspace_id, door=READ_COMPONENTS) as scope:
            scope.require_that(scope.in_workspace, "only members of the workspace can list its components")
            return await seen_in_workspace(scope, limit=limit, offset=offset)

    def whole(self, who: Principal, found: Sequence[Component]) -> AsyncIterator[Component]:
        """Yield the components of a list with the descriptors that were left out."""

        async def read(some: Sequence[Component]) -> Mapping[str, Component]:
            async with self._access.reading_on(who.tenant_id or some[0].tenant_id) as unit:
                return await ComponentRows(unit).whole(some)

        return in_batches(found, lambda each: each.left_out, lambda each: each.id, read, lambda each: each.tenant_id)

    async def in_workspace(self, who: Principal, workspace_id: str, component_id: str) -> Component:
        """Return a component that a workspace has.

        Raises:
            NotFound: the workspace does not have it, or the caller is a task user and no flow of it names it.
        """
        async with self._access.workspace(who, workspace_id, door=READ_COMPONENTS) as scope:
            scope.require_that(scope.in_workspace, "only members of the workspace can see its components")
            had, _ = await seen_in_workspace(scope, component_id)
            if not had:
                raise NotFound("the workspace has no such component")
            return had[0]

    async def in_tenant(
        self, who: Principal, contract_id: str | None, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Component], int]:
        """List every component of the caller's tenant, ungated; without a contract also others' global ones (13.2).

        Returns:
            A page and the total.

        Raises:
            ValidationFailed: a service account, which has no tenant, names no contract.
        """
        if contract_id is not None:
            async with self._access.contract(who, contract_id) as scope:
                scope.require("tenants.component.list_all")
                wanted = ComponentFilter(had_at=contract_view(scope.unit, contract_id), own=True)
                return await ComponentList(scope.unit).page(wanted, leave_out=True, limit=limit, offset=offset)
        if who.tenant_id is None:
            raise ValidationFailed(Problem("a service account must name a contract", parameter="contract_id"))
        async with self._access.tenant(who, who.tenant_id) as scope:
            scope.require("tenants.component.list_all")
            return await ComponentList(scope.unit).page(ComponentFilter(), leave_out=True, limit=limit, offset=offset)

    async def get(self, who: Principal, component_id: str) -> Component:
        """Return a component that a contract of the caller has, or that a client administrator's tenant sees (13.2).

        Raises:
            NotFound: there is none the caller can see.
        """
        async with self._components.seen(who, component_id, door=READ_COMPONENTS) as (_, component):
            return component

    async def create(self, who: Principal, team_id: Unvalidated[str], new: Unvalidated[NewComponent]) -> Component:
        """Create a component with access `team` and no build (13.2).

        Raises:
            RelatedNotFound: there is no such team.
            ValidationFailed: the contract is not the team's.
            AlreadyExists: the team has a component of that name.
            IdConflict: the body has the id of another component.
        """
        with named_in_body("team"):
            place = await self._access.locate_for(who, "team", team_id.validated())
        async with self._access.at(who, place, "component.create") as scope:
            if not (scope.in_contract or scope.allows(GET_TEAMS, EDIT)):  # the team is not to be seen (section 12)
                self._access.counts.denied(who, place.tenant_id, ("team", team_id.validated()), "component.create")
                raise RelatedNotFound("there is no such team", pointer="/data/relationships/team/data/id")
            scope.require(EDIT)
            wanted = new.validated()
            await refuse_taken(scope, "component", wanted.given_id)
            if wanted.contract_id not in (None, place.contract_id):
                raise ValidationFailed(Problem("is not the team's contract", "/data/relationships/contract/data/id"))
            try:
                component_id = await ComponentRows(scope.unit).add(
                    str(place.contract_id), wanted.team_id, wanted.name, dict(wanted.attributes)
                )
            except AlreadyExists:
                pointer = "/data/attributes/name"
                raise AlreadyExists("the team already has a component with this name", pointer=pointer) from None
            scope.audit_target("component", component_id)
            return await own_component(scope, component_id)

    async def change(self, who: Principal, component_id: str, new: Unvalidated[ChangedComponent]) -> Component:
        """Raise a component's access, or replace the caller's tenant's part of its whitelist (13.2).

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller is no tenant admin, or wants `global` without the support permission.
            ValidationFailed: the access would go down.
        """
        async with self._components.seen(who, component_id, "component.edit") as (scope, component):
            support = who.tenant_id is None and scope.allows("contracts.devTeam.edit_access")
            scope.require_that(scope.is_tenant_admin or support, "only a tenant admin can change a component")
            wanted = new.validated()
            rows = ComponentRows(scope.unit)
            if wanted.access is not None and wanted.access is not component.access:
                _require_raised(scope, component, wanted.access, support=support)
                await rows.set_access(component_id, wanted.access)
            if wanted.whitelisted_contract_ids is not None:
                await rows.set_whitelist(
                    component_id, await _own_contracts(scope, component_id, wanted.whitelisted_contract_ids)
                )
            scope.audit_target("component", component_id)
            return await own_component(scope, component_id)

    async def delete(self, who: Principal, component_id: str) -> None:
        """Delete a component that no flow of any tenant names; OAuth clients stay (contract 24.6).

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller is neither an editor in its team nor tenant admin.
            InUse: a flow names it in graph, draft or versions.
        """
        async with self._components.owned(who, component_id, "component.delete", "editor in the team") as (scope, _):
            await ComponentRows(scope.unit).lock_to_delete(component_id)
            await require_component_unused(scope, component_id, None, "the component")
            if not await ComponentRows(scope.unit).remove(component_id):
                raise NotFound("there is no such component")
            scope.audit_target("component", component_id)


def _require_raised(scope: Scope, component: Component, wanted: ComponentAccess, *, support: bool) -> None:
    if component.tenant_id != scope.unit.tenant_id:
        raise Forbidden("only the component's owner can change its access")
    if wanted.width < component.access.width:
        detail = f"access can only be raised, and is {component.access.value} already"
        raise ValidationFailed(Problem(detail, "/data/attributes/access"))
    if wanted is ComponentAccess.everyone and not support:
        raise Forbidden("only a service account with the permission contracts.devTeam.edit_access makes it global")


async def _own_contracts(scope: Scope, component_id: str, contract_ids: Sequence[str]) -> list[str]:
    """Return contracts of the caller's tenant for a component's whitelist, all kept until the transaction ends.

    Raises:
        RelatedNotFound: one is not there, or of another tenant.
    """
    await ComponentRows(scope.unit).hold([], [component_id])
    contracts = ContractRows(scope.unit)
    there = {each for each in sorted(set(contract_ids)) if await contracts.hold(each, exclusive=False) is not None}
    for index, contract_id in enumerate(contract_ids):
        if contract_id not in there:
            pointer = f"/data/attributes/whitelisted_contract_ids/{index}"
            raise RelatedNotFound("there is no such contract in your tenant", pointer=pointer)
    return list(contract_ids)
