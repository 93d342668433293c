"""Components, builds and environment variables (contract section 13)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from keyrack.descriptor import parse
from keyrack.errors import (
    AlreadyExists,
    Forbidden,
    KeyrackError,
    NotFound,
    Problem,
    RelatedNotFound,
    ValidationFailed,
)
from keyrack.ids import new_revision
from keyrack.model import Access as Reach
from keyrack.model import Component, Principal, Version
from keyrack.service.access import Access, Scope
from keyrack.service.blocking import in_use, nameable
from keyrack.service.sight import viewpoint
from keyrack.service.visibility import contract_has, tenant_sees, workspace_has
from keyrack.store.components import ComponentEnvironment, ComponentVersions
from keyrack.store.components import Components as Rows
from keyrack.store.directory import Directory, Location
from keyrack.store.standing import Standing
from keyrack.store.store import Store
from keyrack.store.teams import Teams
from keyrack.store.usage import Usages
from keyrack.store.workspaces import Workspaces

_EDIT = "contracts.repository.edit"
_SEES_UNGATED = ("tenants.component.list_all", "tenants.oauth_clients.create")


@dataclass(frozen=True, slots=True)
class NewComponent:
    """What a caller sends to create a component."""

    team_id: str
    contract_id: str | None
    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangedComponent:
    """What a caller sends to change one; None keeps what is stored."""

    access: Reach | None
    whitelisted_contract_ids: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A build: its descriptor and, optionally, its revision."""

    descriptor: dict[str, Any] = field(repr=False)
    revision: str | None


class ComponentUseCases:
    """Use cases of contract section 13."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    async def of_contract(self, who: Principal, contract_id: str, which: str) -> Sequence[Component]:
        """List what a contract has: `private` (its own), `public` (others'), or `all` (13.2)."""
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members of the contract can list")
            view = await viewpoint(scope.unit, contract_id)
            found = [c for c in await Rows(scope.unit).list() if contract_has(view, c)]
            if which == "private":
                return [c for c in found if c.contract_id == contract_id]
            return [c for c in found if which == "all" or c.contract_id != contract_id]

    async def of_workspace(self, who: Principal, workspace_id: str) -> Sequence[Component]:
        """List what a workspace has (13.2)."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace, "only members of the workspace can list its components")
            return await self._had(scope, await Rows(scope.unit).list())

    async def in_workspace(self, who: Principal, workspace_id: str, component_id: str) -> Component:
        """Return a component that a workspace has.

        Raises:
            NotFound: the workspace does not have it.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace, "only members of the workspace can see its components")
            had = await self._had(scope, await Rows(scope.unit).list(ids=[component_id]))
            if not had:
                raise NotFound("the workspace has no such component")
            return had[0]

    async def of_tenant(self, who: Principal, tenant_id: str | None, contract_id: str | None) -> Sequence[Component]:
        """List every component of a tenant, ungated; without a contract also others' global ones (13.2)."""
        if contract_id is not None:
            async with self._access.contract(who, contract_id) as scope:
                scope.require("tenants.component.list_all")
                return await Rows(scope.unit).list(contract_id=contract_id)
        home = tenant_id or who.tenant_id
        if home is None:
            raise ValidationFailed(Problem("a service account must name a contract", parameter="contract_id"))
        async with self._access.tenant(who, home) as scope:
            scope.require("tenants.component.list_all")
            return await Rows(scope.unit).list()

    async def get(self, who: Principal, component_id: str) -> Component:
        """Return a component that a contract of the caller has, or that a client administrator's tenant sees (13.2).

        Raises:
            NotFound: there is none the caller can see.
        """
        async with AsyncExitStack() as stack:
            _, component = await self._seen(stack, who, component_id)
            return component

    async def versions(self, who: Principal, component_id: str) -> Sequence[Version]:
        """List a component's builds, oldest first; as `get`."""
        async with AsyncExitStack() as stack:
            scope, _ = await self._seen(stack, who, component_id)
            return await ComponentVersions(scope.unit).list(component_id)

    async def version(self, who: Principal, component_id: str, revision: str) -> tuple[Component, Version]:
        """Return a build by its revision or `latest`; as `get`."""
        async with AsyncExitStack() as stack:
            scope, component = await self._seen(stack, who, component_id)
            return component, await _version(scope, component, revision)

    async def create(self, who: Principal, team_id: Callable[[], str], new: Callable[[], NewComponent]) -> Component:
        """Create a component with access `team` and no build (13.2).

        Raises:
            RelatedNotFound: there is no such team.
            ValidationFailed: the contract is not the team's.
            AlreadyExists: the team has a component of that name.
        """
        try:
            place = await self._access.locate("team", team_id())
        except NotFound:
            raise RelatedNotFound("there is no such team", pointer="/data/relationships/team/data/id") from None
        async with self._access.at(who, place, "component.create") as scope:
            scope.require(_EDIT)
            wanted = new()
            if wanted.contract_id not in (None, place.contract_id):
                raise ValidationFailed(Problem("is not the team's contract", "/data/relationships/contract/data/id"))
            try:
                component_id = await Rows(scope.unit).add(
                    str(place.contract_id), wanted.team_id, wanted.name, dict(wanted.attributes)
                )
            except AlreadyExists:
                pointer = "/data/attributes/name"
                raise AlreadyExists("the team has a component of this name", pointer=pointer) from None
            scope.touched("component", component_id)
            return await _own(scope, component_id)

    async def change(self, who: Principal, component_id: str, new: Callable[[], ChangedComponent]) -> Component:
        """Raise a component's access, or replace the caller's tenant's part of its whitelist (13.2).

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller is no tenant admin, or wants `global` without the support permission.
            ValidationFailed: the access would go down.
        """
        place = await self._place(who, component_id)
        async with self._access.at(who, place, "component.edit") as scope:
            component = await self._find(scope, component_id)
            support = who.tenant_id is None and scope.allows("contracts.devTeam.edit_access")
            scope.require_that(scope.is_tenant_admin or support, "only a tenant admin can change a component")
            wanted = new()
            rows = Rows(scope.unit)
            if wanted.access is not None and wanted.access is not component.access:
                await _raise_access(scope, component, wanted.access, support=support)
                await rows.set_access(component_id, wanted.access)
            if wanted.whitelisted_contract_ids is not None:
                await rows.set_whitelist(component_id, await _own_contracts(scope, wanted.whitelisted_contract_ids))
            scope.touched("component", component_id)
            return await self._find(scope, component_id)

    async def delete(self, who: Principal, component_id: str) -> None:
        """Delete a component that no flow of any tenant names; OAuth clients stay (contract 24.6).

        Raises:
            NotFound: there is none the caller can see.
            InUse: a flow names it in graph, draft or versions.
        """
        async with self._entered(who, component_id, "component.delete", "team") as scope:
            await _require_unused(scope, component_id, None, "the component")
            await Rows(scope.unit).remove(component_id)
            scope.touched("component", component_id)

    async def delete_version(self, who: Principal, component_id: str, revision: str) -> None:
        """Delete a build that no flow names.

        Raises:
            NotFound: there is no such component or build.
            InUse: a flow names that build.
        """
        async with self._entered(who, component_id, "component-version.delete", "team") as scope:
            version = await _version(scope, await _own(scope, component_id), revision)
            await _require_unused(scope, component_id, version.revision, "the version")
            await ComponentVersions(scope.unit).remove(component_id, version.revision)
            scope.touched("version", version.revision)

    async def add_version(self, who: Principal, component_id: str, new: Callable[[], NewVersion]) -> Version:
        """Add a build (extension 0.3); it becomes the latest.

        Raises:
            NotFound: there is none the caller can see.
            ValidationFailed: the descriptor has wrong JSON types where they matter (contract 0.9).
            AlreadyExists: the component has that revision.
        """
        async with self._entered(who, component_id, "component-version.create", "contract") as scope:
            wanted = new()
            _check_descriptor(wanted.descriptor)
            revision = wanted.revision or new_revision()
            try:
                version = await ComponentVersions(scope.unit).add(component_id, revision, wanted.descriptor)
            except AlreadyExists:
                pointer = "/data/attributes/revision"
                raise AlreadyExists("the component has this revision", pointer=pointer) from None
            scope.touched("version", revision)
            return version

    async def environment(self, who: Principal, component_id: str) -> Mapping[str, str]:
        """Return a component's variables to its developers (13.4).

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller is not of the owning team, contract or tenant administration.
        """
        async with self._entered(who, component_id, "component-env.read", "either") as scope:
            scope.touched("component", component_id)
            return await ComponentEnvironment(scope.unit).read(component_id)

    async def replace_environment(
        self, who: Principal, component_id: str, new: Callable[[], Mapping[str, str]]
    ) -> Mapping[str, str]:
        """Replace the whole set of a component's variables (13.4); errors as `environment`."""
        async with self._entered(who, component_id, "component-env.replace", "either") as scope:
            variables = new()
            await ComponentEnvironment(scope.unit).replace(component_id, variables)
            scope.touched("component", component_id)
            return variables

    async def _had(self, scope: Scope, components: Sequence[Component]) -> Sequence[Component]:
        workspace = await Workspaces(scope.unit).find(scope.place.workspace_id or "")
        if workspace is None:
            raise NotFound
        view = await viewpoint(scope.unit, workspace.contract_id)
        return [component for component in components if workspace_has(view, workspace, component)]

    async def _seen(self, stack: AsyncExitStack, who: Principal, component_id: str) -> tuple[Scope, Component]:
        place = await self._place(who, component_id)
        scope = await stack.enter_async_context(self._access.at(who, place))
        return scope, await self._find(scope, component_id)

    async def _place(self, who: Principal, component_id: str) -> Location:
        """A user looks from the home tenant; a service account from the owner's."""
        place = await self._access.locate("component", component_id)
        if who.tenant_id is None or who.tenant_id == place.tenant_id:
            return place
        return Location(who.tenant_id)

    async def _find(self, scope: Scope, component_id: str) -> Component:
        component = await Rows(scope.unit).find(component_id)
        if component is None or not await _visible(scope, component):
            raise NotFound("there is no such component")
        return component

    @asynccontextmanager
    async def _entered(self, who: Principal, component_id: str, action: str, need: str) -> AsyncIterator[Scope]:
        """Enter a component's own contract to change it; another tenant's component is 403, an unseen one 404.

        Args:
            who: the caller.
            component_id: the component.
            action: as the audit log calls it.
            need: `team` (editors in the owning team), `contract` (editors), or `either` (any of both).
        """
        place = await self._access.locate("component", component_id)
        if who.tenant_id is not None and who.tenant_id != place.tenant_id:
            await self.get(who, component_id)
            raise Forbidden("only the component's owner can do this")
        async with self._access.at(who, place, action) as scope:
            component = await _own(scope, component_id)
            await _require_developer(scope, component, need)
            yield scope


async def _require_developer(scope: Scope, component: Component, need: str) -> None:
    in_team = await Teams(scope.unit).is_member(component.team_id, scope.who.id)
    editor, is_service = scope.allows(_EDIT), scope.who.tenant_id is None
    if not (editor or in_team or scope.is_tenant_admin) and not await _visible(scope, component):
        raise NotFound("there is no such component")
    allowed = {
        "team": (editor and (in_team or is_service)) or scope.is_tenant_admin,
        "contract": editor,
        "either": editor or in_team or scope.is_tenant_admin,
    }[need]
    scope.require_that(allowed, f"this needs {_EDIT} in the component's contract")


async def _visible(scope: Scope, component: Component) -> bool:
    tenant_id = scope.unit.tenant_id
    if scope.allows(*_SEES_UNGATED) or scope.who.tenant_id is None:
        return tenant_sees(tenant_id, component)
    for contract_id in await Standing(scope.unit).contracts_of(scope.who.id):
        if contract_has(await viewpoint(scope.unit, contract_id), component):
            return True
    return False


async def _own(scope: Scope, component_id: str) -> Component:
    component = await Rows(scope.unit).find(component_id)
    if component is None:
        raise NotFound("there is no such component")
    return component


async def _version(scope: Scope, component: Component, revision: str) -> Version:
    if revision == "latest":
        found = component.latest
    else:
        found = await ComponentVersions(scope.unit).find(component.id, revision)
    if found is None:
        raise NotFound("the component has no such version")
    return found


async def _raise_access(scope: Scope, component: Component, wanted: Reach, *, support: bool) -> None:
    if component.tenant_id != scope.unit.tenant_id:
        raise Forbidden("only the component's owner can change its access")
    if wanted.width < component.access.width:
        raise ValidationFailed(Problem("access can only be raised", "/data/attributes/access"))
    if wanted is Reach.everyone and not support:
        raise Forbidden("only support can make a component global")


async def _own_contracts(scope: Scope, contract_ids: Sequence[str]) -> list[str]:
    kept = []
    directory = Directory(replace(scope.unit, tenant_id=""))
    for index, contract_id in enumerate(contract_ids):
        place = await directory.contract(contract_id)
        if place is None or place.tenant_id != scope.unit.tenant_id:
            pointer = f"/data/attributes/whitelisted_contract_ids/{index}"
            raise RelatedNotFound("there is no such contract in your tenant", pointer=pointer)
        kept.append(contract_id)
    return kept


async def _require_unused(scope: Scope, component_id: str, revision: str | None, what: str) -> None:
    counts = await Directory(replace(scope.unit, tenant_id="")).flows_using(component_id, revision)
    if not counts:
        return
    known = await nameable(scope, await Usages(scope.unit).flows_of(component_id, revision))
    raise in_use(what, sum(counts.values()), known)


def _check_descriptor(descriptor: dict[str, Any]) -> None:
    try:
        parse.parse(descriptor)
    except KeyrackError as error:
        base = "/data/attributes/descriptor"
        problems = [Problem(p.detail, f"{base}{'' if p.pointer in (None, '/') else p.pointer}") for p in error.problems]
        raise ValidationFailed(*problems) from None
