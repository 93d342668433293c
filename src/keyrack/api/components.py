"""Components: `/v2/components` and `/v2/workspaces/{W}/components` (contract section 13)."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.component_documents import ComponentResource, component_resource, latest_build
from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Linkage, Many, NewResource, Page, SelfLink, Single, Text, each, link_self
from keyrack.api.core.lists import Deferred, Read, entries, one_by_one, stretches
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.components import Component, ComponentAccess
from keyrack.service.components.components import ChangedComponent, Components, NewComponent
from keyrack.validation.fields import ComponentName


class TeamOfComponent(msgspec.Struct):
    """Linkage to the owning team."""

    id: Text
    type: Literal["team"]


class ContractOfComponent(msgspec.Struct):
    """Linkage to the team's contract."""

    id: Text
    type: Literal["contract"]


class NewComponentRelationships(msgspec.Struct):
    """Who owns a new component."""

    team: Linkage[TeamOfComponent]
    contract: Linkage[ContractOfComponent] | UnsetType = UNSET


class NewComponentAttributes(msgspec.Struct):
    """A component repository."""

    name: ComponentName
    icon: str | UnsetType = UNSET
    docker_repo_name: str | UnsetType = UNSET
    docker_target_tag: str | UnsetType = UNSET


class CreateComponent(NewResource):
    """Data of a create request."""

    type: Literal["component"]
    attributes: NewComponentAttributes
    relationships: NewComponentRelationships


class CreateComponentBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateComponent


class ChangedComponentAttributes(msgspec.Struct):
    """Access can only go up; the whitelist is the caller's tenant's part."""

    access: Literal["team", "tenant", "global"] | UnsetType = UNSET
    whitelisted_contract_ids: list[str] | UnsetType = UNSET


class ChangeComponent(msgspec.Struct):
    """Data of an update request."""

    type: Literal["component"]
    id: str | UnsetType = UNSET
    attributes: ChangedComponentAttributes = msgspec.field(default_factory=ChangedComponentAttributes)


class ChangeComponentBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeComponent


class ComponentController(Controller):
    """Components by themselves."""

    path = "/v2/components"
    tags = ("Components",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        components: NamedDependency[Components],
        page: WantedPage,
        contract_id: Annotated[
            str | None,
            QueryParameter(name="contract_id", description="Required: the contract whose components are listed."),
        ] = None,
        access: Annotated[
            str | None,
            QueryParameter(
                name="filter[access]",
                description="`private`: its own; `public`: what others share with it; `all`, the default.",
            ),
        ] = None,
    ) -> Many[ComponentResource]:
        """List what a contract has."""
        problems = []
        if not contract_id:
            problems.append(Problem("contract_id is required", parameter="contract_id"))
        if access and access not in ("private", "public", "all"):
            problems.append(Problem("must be one of private, public, all", parameter="filter[access]"))
        if problems:
            raise ValidationFailed(*problems)
        read = partial(components.of_contract, who, contract_id or "", access or "all")
        return await _list(page, read, partial(components.whole, who), links=link_self("/v2/components"))

    @get("/all", responses=Refusals.of(400, 403, 404))
    async def list_tenant(
        self,
        who: Who,
        components: NamedDependency[Components],
        page: WantedPage,
        contract_id: Annotated[
            str | None, QueryParameter(name="contract_id", description="Only what this contract owns.")
        ] = None,
    ) -> Many[ComponentResource]:
        """List every component of the tenant, ungated."""
        read = partial(components.in_tenant, who, contract_id or None)
        return await _list(page, read, partial(components.whole, who))

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self, data: Body[CreateComponentBody], who: Who, components: NamedDependency[Components]
    ) -> Single[ComponentResource]:
        """Create a component."""
        team = data.then(lambda body: body.data.relationships.team.data.id)
        return _one(await components.create(who, team, data.then(_new)))

    @get("/{component_id:str}", responses=Refusals.of(404))
    async def retrieve(
        self, component_id: PATH_ID, who: Who, components: NamedDependency[Components]
    ) -> Single[ComponentResource]:
        """Return one component."""
        return _one(await components.get(who, component_id))

    @patch("/{component_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        component_id: PATH_ID,
        data: Body[ChangeComponentBody],
        who: Who,
        components: NamedDependency[Components],
    ) -> Single[ComponentResource]:
        """Raise a component's access, or replace its whitelist."""

        def changed(body: ChangeComponentBody) -> ChangedComponent:
            require_id(body.data.id, component_id)
            given = body.data.attributes
            access = None if given.access is UNSET else ComponentAccess(given.access)
            return ChangedComponent(access, or_none(given.whitelisted_contract_ids))

        return _one(await components.change(who, component_id, data.then(changed)), whitelist=True)

    @delete("/{component_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, component_id: PATH_ID, who: Who, components: NamedDependency[Components]) -> None:
        """Delete a component that no flow uses."""
        await components.delete(who, component_id)


class WorkspaceComponentController(Controller):
    """Components as a workspace has them."""

    path = "/v2/workspaces/{workspace_id:str}/components"
    tags = ("Components",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self, workspace_id: PATH_ID, who: Who, components: NamedDependency[Components], page: WantedPage
    ) -> Many[ComponentResource]:
        """List what a workspace has."""
        read = partial(components.of_workspace, who, workspace_id)
        return await _list(page, read, partial(components.whole, who), whitelist=True)

    @get("/{component_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self, workspace_id: PATH_ID, component_id: PATH_ID, who: Who, components: NamedDependency[Components]
    ) -> Single[ComponentResource]:
        """Return a component that a workspace has."""
        return _one(await components.in_workspace(who, workspace_id, component_id), whitelist=True)


_Whole = Callable[[Sequence[Component]], AsyncIterable[Component]]


async def _list(
    page: Page,
    read: Read[Component],
    whole: _Whole,
    *,
    links: SelfLink | UnsetType = UNSET,
    whitelist: bool = False,
) -> Many[ComponentResource]:
    found, total = await read(limit=page.limit, offset=page.offset)
    make, meta = partial(component_resource, whitelist=whitelist), page.meta(total)
    if page.goes_on(found):
        linked = set[str]()
        linking = _linking(entries(stretches(page, found, read)), make, linked)
        return Deferred(linking, meta, _linked_builds(page, read, whole, linked), links).document
    resources = await each(found, make)
    if any(component.left_out for component in found):
        return Deferred(one_by_one(resources), meta, _builds(found, whole), links).document
    builds = await each(found, latest_build)
    return Many(resources, meta, included=list(chain.from_iterable(builds)), links=links)


async def _linking(
    found: AsyncIterable[Component], make: Callable[[Component], ComponentResource], linked: set[str]
) -> AsyncIterator[ComponentResource]:
    """Make resources of components, and note the builds they link to."""
    async for component in found:
        if component.latest is not None:
            linked.add(component.latest.revision)
        yield make(component)


async def _linked_builds(
    page: Page, read: Read[Component], whole: _Whole, linked: Collection[str]
) -> AsyncIterator[Any]:
    """Read a list of components again, and make what is included of it: builds that are still there, and linked to."""
    first, _ = await read(limit=page.limit, offset=page.offset)
    async for stretch in stretches(page, first, read):
        chosen = [component for component in stretch if component.latest and component.latest.revision in linked]
        async for resource in _builds(chosen, whole):
            yield resource


async def _builds(found: Sequence[Component], whole: _Whole) -> AsyncIterator[Any]:
    """Make what is included; beside the event loop if it may be a megabyte: it is searched for secrets."""
    large = {component.id for component in found if component.left_out}
    async for component in whole(found):
        made = await asyncio.to_thread(latest_build, component) if component.id in large else latest_build(component)
        for resource in made:
            yield resource


def _one(found: Component, *, whitelist: bool = False) -> Single[ComponentResource]:
    return Single(component_resource(found, whitelist=whitelist), included=list(latest_build(found)))


def _new(body: CreateComponentBody) -> NewComponent:
    given, about = body.data.attributes, body.data.relationships
    names = ("icon", "docker_repo_name", "docker_target_tag")
    attributes = {name: getattr(given, name) for name in names if getattr(given, name) is not UNSET}
    contract_id = None if about.contract is UNSET else about.contract.data.id
    return NewComponent(about.team.data.id, contract_id, given.name, attributes, body.data.given_id)
