"""Contracts (contract section 9): create, read, change, suspend, delete; their roles (6.4)."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from keyrack.errors import NotFound, Problem, ValidationFailed
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Contract, Member, Role
from keyrack.service.authz.access import Access, Scope, home
from keyrack.service.authz.references import refuse_taken
from keyrack.service.authz.scope import contracts_granting
from keyrack.service.authz.suspension import ACTIVE, SUSPENDED
from keyrack.service.authz.task_users import READ_CONTRACT
from keyrack.service.tenancy.available_roles import Pairs, is_available, known_roles, require_not_held
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.large_columns import in_batches
from keyrack.store.directory import Directory
from keyrack.store.flows import FlowRows
from keyrack.store.tenants import RolePolicy, TenantRows
from keyrack.validation.unvalidated import Unvalidated

_EVERYWHERE = ("global.contract.contract.list_all", "contracts.contract.listAll")
_EDITS = {
    "name": "contracts.contract.edit",
    "available_roles": "contracts.contract.edit_available_roles",
    "custom_data": "contracts.contract.edit_custom_data",
}
"""What each attribute needs to be changed."""
_SEES_CUSTOM_DATA = "contracts.contract.get_custom_data"
_INHERITED = ("flow_stats_enabled_default", "support_user_id")
"""Attributes that a new contract takes over from its tenant."""
_MOST_CUSTOM_DATA = 1_000_000
_CUSTOM_DATA_POINTER = "/data/attributes/custom_data"


@dataclass(frozen=True, slots=True)
class NewContract:
    """What a caller sends to create a contract."""

    name: str
    available_roles: Pairs
    custom_data: Any
    given_id: str | None = None
    made_id: str | None = None
    """The id that the contract gets; None: a new one."""


@dataclass(frozen=True, slots=True)
class ChangedContract:
    """What a caller sends to change one; None keeps what is stored, custom data in any case unless it is `given`."""

    name: str | None = None
    available_roles: Pairs | None = None
    custom_data: Any = None
    custom_data_given: bool = False


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract with the ids of its members, and whether the caller may see its custom data.

    `members` are there when they were asked for, custom data (JSON text) when it has any and the caller may see it; in
    a list it comes later (`with_custom_data`).
    """

    contract: Contract
    member_ids: Sequence[str]
    shows_custom_data: bool
    members: Sequence[Member] | None = None
    custom_data: bytes | None = field(default=None, repr=False)

    @property
    def left_out(self) -> int:
        """Bytes of the custom data that a list leaves out for now, if the caller may see it."""
        return self.contract.left_out if self.shows_custom_data else 0


class Contracts:
    """Use cases of contract section 9."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, new: Unvalidated[NewContract]) -> ContractView:
        """Create a contract in the caller's tenant; it has no members yet (contract 0.11).

        Raises:
            Forbidden: the caller has no tenant, or holds no `tenants.contract.create` there.
            ValidationFailed: the body is wrong, or an available role does not exist.
            IdConflict: the body has the id of another contract.
        """
        async with self._access.tenant(who, home(who), "contract.create") as scope:
            scope.require("tenants.contract.create")
            wanted = new.validated()
            pairs = await known_roles(scope, wanted.available_roles)
            _require_small(wanted.custom_data)
            await refuse_taken(scope, "contract", wanted.given_id)
            tenant = await TenantRows(scope.unit).find(scope.unit.tenant_id)
            inherited = {name: tenant.attributes[name] for name in _INHERITED if tenant and name in tenant.attributes}
            contract_id = await ContractRows(scope.unit).add(
                wanted.name, pairs, inherited, wanted.custom_data, wanted.made_id
            )
            scope.audit_target("contract", contract_id)
            return replace(await _view(scope, contract_id), members=None)

    async def list(
        self,
        who: Principal,
        *,
        limit: int | None,
        offset: int,
        most_members: int | None = None,
        beginning: str = "",
    ) -> tuple[Sequence[ContractView], int]:
        """List the caller's contracts; a tenant admin sees all of the tenant, a service account all there are.

        Args:
            who: the caller.
            limit: how many at most; None for all.
            offset: how many to pass over.
            most_members: of how many members of each, beside the caller, the ids are wanted; 0: of none; None: of all.
            beginning: only those in whose name a word begins so, or that have this id; for people only.

        Raises:
            Forbidden: the service account may not read the contracts of all tenants.
        """
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                scope.require(*_EVERYWHERE)
                places, total = await Directory(scope.unit).contracts(limit=limit, offset=offset)
            views = []
            for place in places:
                with suppress(NotFound):  # deleted since it was listed
                    views.append(await self._get(who, place.contract_id or "", with_custom_data=False))
            return views, total
        async with self._access.tenant(who, who.tenant_id) as scope:
            everything = scope.is_tenant_admin or scope.allows("contracts.contract.listAll")
            member = None if everything else who.id
            found, total = await ContractRows(scope.unit).page(
                member=member, beginning=beginning, limit=limit, offset=offset
            )
            rows, ids = ContractMembers(scope.unit), [contract.id for contract in found]
            members = await rows.ids(ids) if most_members is None else await rows.some_ids(ids, who.id, most_members)
            all_shown, shown = scope.allows(_SEES_CUSTOM_DATA), await contracts_granting(scope, _SEES_CUSTOM_DATA)
            return [
                ContractView(each, members.get(each.id, []), all_shown or each.id in shown) for each in found
            ], total

    def with_custom_data(self, views: Sequence[ContractView]) -> AsyncIterator[ContractView]:
        """Yield the views of a list with custom data, a few at a time: in all they may be a thousand megabytes.

        A contract that was deleted meanwhile, or its custom data, is shown without.
        """

        async def read(some: Sequence[ContractView]) -> Mapping[str, ContractView]:
            async with self._access.reading_on(some[0].contract.tenant_id) as unit:
                texts = await ContractRows(unit).custom_data([view.contract.id for view in some])
            return {view.contract.id: replace(view, custom_data=texts.get(view.contract.id)) for view in some}

        return in_batches(
            views,
            lambda view: view.left_out,
            lambda view: view.contract.id,
            read,
            lambda view: view.contract.tenant_id,
        )

    async def get(
        self, who: Principal, contract_id: str, *, with_members: bool = False, most_members: int | None = None
    ) -> ContractView:
        """Return a contract to members and tenant admins; a task user gets that of its workspace, without members.

        Args:
            who: the caller.
            contract_id: the contract.
            with_members: whether the members themselves are wanted.
            most_members: as in `list`; without members only.
        """
        view = await self._get(who, contract_id, with_members=with_members, most_members=most_members)
        return view if with_members else replace(view, members=None)

    async def _get(
        self,
        who: Principal,
        contract_id: str,
        *,
        with_members: bool = False,
        with_custom_data: bool = True,
        most_members: int | None = None,
    ) -> ContractView:
        door = None if with_members else READ_CONTRACT
        async with self._access.contract(who, contract_id, door=door) as scope:
            seen = scope.in_contract or scope.is_tenant_admin
            scope.require_that(seen, "only members can see the contract")
            return await _view(scope, contract_id, with_custom_data=with_custom_data, most_members=most_members)

    async def change(
        self, who: Principal, contract_id: str, named: Collection[str], new: Unvalidated[ChangedContract]
    ) -> ContractView:
        """Change name, available roles or custom data, each with a permission of its own.

        Args:
            who: the caller.
            contract_id: the contract.
            named: the attributes that the body has, not judged yet, so that permissions come first (section 3).
            new: the change that the body asks for.

        Raises:
            NotFound: there is no such contract.
            Forbidden: the caller may not change what is named.
            ValidationFailed: the body is wrong, or an available role does not exist.
            InUse: members hold a role that would not be available any more.
        """
        async with self._access.contract(who, contract_id, "contract.edit", exclusive=True) as scope:
            scope.require_edits(_EDITS, named)
            wanted = new.validated()
            values: dict[str, Any] = {}
            if wanted.name is not None:
                values["name"] = wanted.name
            if wanted.available_roles is not None:
                pairs = await known_roles(scope, wanted.available_roles)
                await require_not_held(scope, await _there(scope, contract_id), pairs)
                values["available_roles"] = [list(pair) for pair in pairs]
            if wanted.custom_data_given:
                _require_small(wanted.custom_data)
                values["custom_data"] = wanted.custom_data
            if values:
                await ContractRows(scope.unit).change(contract_id, **values)
            scope.audit_target("contract", contract_id)
            return replace(await _view(scope, contract_id), members=None)

    async def suspend(self, who: Principal, contract_id: str) -> None:
        """Stop a contract's flows and close it to writing; one that is suspended already stays as it is.

        Secrets can still be read and are kept fresh (decision 6).

        Raises:
            NotFound: there is no such contract.
        """
        async with self._access.contract(who, contract_id, "contract.suspend", exclusive=True) as scope:
            scope.require("contracts.contract.suspend")
            await FlowRows(scope.unit).stop_all(contract_id)
            await ContractRows(scope.unit).change(contract_id, status=SUSPENDED)
            scope.audit_target("contract", contract_id)

    async def unsuspend(self, who: Principal, contract_id: str) -> None:
        """Open a suspended contract; its flows stay stopped.

        Raises:
            NotFound: there is no such contract.
        """
        async with self._access.contract(who, contract_id, "contract.unsuspend", exclusive=True) as scope:
            scope.require("contracts.contract.unsuspend")
            await ContractRows(scope.unit).change(contract_id, status=ACTIVE)
            scope.audit_target("contract", contract_id)

    async def roles(self, who: Principal, contract_id: str) -> Sequence[Role]:
        """Return the roles that can be given in a contract and its workspaces, to its members (6.4)."""
        async with self._access.contract(who, contract_id) as scope:
            seen = scope.in_contract or scope.is_tenant_admin
            scope.require_that(seen, "only members can see the contract's roles")
            contract = await _there(scope, contract_id)
            policy = await RolePolicy(scope.unit).list()
            return [role for role in policy if is_available(contract, role.scope, role.role)]


async def _there(scope: Scope, contract_id: str, *, sized: bool = False) -> Contract:
    contract = await ContractRows(scope.unit).find(contract_id, sized=sized)
    if contract is None:
        raise NotFound
    return contract


async def _view(
    scope: Scope, contract_id: str, *, with_custom_data: bool = True, most_members: int | None = None
) -> ContractView:
    contract = await _there(scope, contract_id, sized=not with_custom_data)
    rows, members = ContractMembers(scope.unit), None
    if most_members is None:
        members = await rows.list(contract_id)
        ids: Sequence[str] = [member.user.id for member in members]
    else:
        ids = (await rows.some_ids([contract_id], scope.who.id, most_members))[contract_id]
    shows, custom_data = scope.allows(_SEES_CUSTOM_DATA), None
    if shows and with_custom_data and contract.has_custom_data:
        custom_data = (await ContractRows(scope.unit).custom_data([contract_id])).get(contract_id)
    return ContractView(contract, ids, shows, members, custom_data)


def _require_small(custom_data: Any) -> None:
    """Insist on at most 1 MB of JSON (section 9).

    Raises:
        ValidationFailed: it is more.
    """
    if len(json.dumps(custom_data, ensure_ascii=False, separators=(",", ":")).encode()) > _MOST_CUSTOM_DATA:
        raise ValidationFailed(Problem("must be at most 1 MB of JSON", _CUSTOM_DATA_POINTER))
