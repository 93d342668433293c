"""`/v2/flows` (contract section 17)."""

from typing import Annotated, Any, Literal, get_args

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import JsonRequest, or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Empty, Linkage, Many, NewResource, Single, Text
from keyrack.api.core.lists import listed
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.flow_documents import FlowResource, flow_document
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.flows import FlowStatus
from keyrack.service.flows.flows import ChangedFlow, Flows, NewFlow
from keyrack.store.flow_list import FlowFilter
from keyrack.validation.fields import FlowType

_PER_PAGE = 50
_OPTIONAL = ("description", "cron", "nodes_config", "stats_enabled")


class WorkspaceOfFlow(msgspec.Struct):
    """Linkage to the workspace."""

    id: Text
    type: Literal["workspace"]


class NewFlowRelationships(msgspec.Struct):
    """What a new flow belongs to."""

    workspace: Linkage[WorkspaceOfFlow]


class NewFlowAttributes(msgspec.Struct):
    """What a flow is made of; `graph` has nodes and edges."""

    name: Text
    type: FlowType
    graph: dict[str, Any]
    default_mapper_type: Literal["jsonata"]
    description: str | UnsetType = UNSET
    cron: str | UnsetType | None = UNSET
    nodes_config: dict[str, Any] | UnsetType = UNSET
    stats_enabled: bool | UnsetType = UNSET


class CreateFlow(NewResource):
    """Data of a create request."""

    type: Literal["flow"]
    attributes: NewFlowAttributes
    relationships: NewFlowRelationships


class CreateFlowBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateFlow


class ChangedFlowAttributes(msgspec.Struct):
    """What changes; absent members stay."""

    name: Text | UnsetType = UNSET
    type: FlowType | UnsetType = UNSET
    graph: dict[str, Any] | UnsetType = UNSET
    default_mapper_type: Literal["jsonata"] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    cron: str | UnsetType | None = UNSET
    nodes_config: dict[str, Any] | UnsetType = UNSET
    stats_enabled: bool | UnsetType = UNSET


class ChangeFlow(msgspec.Struct):
    """Data of an update request; type and id are required."""

    id: str
    type: Literal["flow"]
    attributes: ChangedFlowAttributes = msgspec.field(default_factory=ChangedFlowAttributes)


class ChangeFlowBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeFlow


class Stopped(msgspec.Struct):
    """What stopping answers: an empty `data` object (24.25)."""

    data: Empty = Empty()
    meta: Empty = Empty()


class FlowController(Controller):
    """Flows."""

    path = "/v2/flows"
    tags = ("Flows",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(  # noqa: PLR0913, PLR0917 - one parameter for each query parameter
        self,
        who: Who,
        flows: NamedDependency[Flows],
        page: WantedPage,
        workspace_id: Annotated[
            str | None,
            QueryParameter(name="workspace_id", description="Required: the workspace whose flows are listed."),
        ] = None,
        status: Annotated[
            str | None, QueryParameter(name="filter[status]", description="`active` or `inactive`.")
        ] = None,
        kind: Annotated[
            str | None, QueryParameter(name="filter[type]", description="`ordinary` or `long_running`.")
        ] = None,
        user_id: Annotated[
            str | None, QueryParameter(name="filter[user]", description="Those of a user, by id.")
        ] = None,
        has_draft: Annotated[
            str | None, QueryParameter(name="filter[has_draft]", description="`true` or `false`.")
        ] = None,
        sort: Annotated[
            str | None,
            QueryParameter(
                name="sort", description="`created_at`, `updated_at` or `name`; with `-` in front the other way round."
            ),
        ] = None,
        search: Annotated[
            str | None, QueryParameter(name="search", description="Text that name or description has, in any case.")
        ] = None,
    ) -> Many[FlowResource]:
        """List a workspace's flows."""
        paged = page.or_default(_PER_PAGE)
        wanted = _filter(workspace_id, status, kind, user_id, has_draft, sort, search)
        found, total = await flows.list(who, workspace_id or "", wanted, limit=paged.limit, offset=paged.offset)
        return await listed(found, flow_document, paged.meta(total), flows.whole)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(self, data: Body[CreateFlowBody], who: Who, flows: NamedDependency[Flows]) -> Single[FlowResource]:
        """Create an inactive flow."""
        workspace = data.then(lambda body: body.data.relationships.workspace.data.id)
        return Single(flow_document(await flows.create(who, workspace, data.then(_new))))

    @get("/{flow_id:str}", responses=Refusals.of(404))
    async def retrieve(self, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> Single[FlowResource]:
        """Return one flow."""
        return Single(flow_document(await flows.get(who, flow_id)))

    @patch("/{flow_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self, flow_id: PATH_ID, data: Body[ChangeFlowBody], who: Who, flows: NamedDependency[Flows]
    ) -> Single[FlowResource]:
        """Change a flow; this creates a new version."""

        def changed(body: ChangeFlowBody) -> ChangedFlow:
            require_id(body.data.id, flow_id)
            given = body.data.attributes
            return ChangedFlow(or_none(given.name), or_none(given.type), or_none(given.graph), _optional(given))

        return Single(flow_document(await flows.change(who, flow_id, data.then(changed))))

    @delete("/{flow_id:str}", responses=Refusals.of(403, 404))
    async def remove(self, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> None:
        """Delete a flow; an active one is stopped first."""
        await flows.delete(who, flow_id)

    @post("/{flow_id:str}/start", status_code=202, responses=Refusals.of(400, 403, 404, 409))
    async def start(
        self, request: JsonRequest, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]
    ) -> Single[FlowResource]:
        """Start a flow."""
        await request.action()
        return Single(flow_document(await flows.start(who, flow_id)))

    @post("/{flow_id:str}/stop", status_code=202, responses=Refusals.of(400, 403, 404))
    async def stop(self, request: JsonRequest, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> Stopped:
        """Stop a flow."""
        await request.action()
        await flows.stop(who, flow_id)
        return Stopped()


def _filter(
    workspace_id: str | None,
    status: str | None,
    kind: str | None,
    user_id: str | None,
    has_draft: str | None,
    sort: str | None,
    search: str | None,
) -> FlowFilter:
    problems = []
    if not workspace_id:
        problems.append(Problem("workspace_id is required", parameter="workspace_id"))
    choices = {
        "filter[status]": (status, tuple(FlowStatus)),
        "filter[type]": (kind, get_args(FlowType)),
        "filter[has_draft]": (has_draft, ("true", "false")),
        "sort": (sort and sort.removeprefix("-"), ("created_at", "updated_at", "name")),
    }
    problems += [
        Problem(f"must be one of {', '.join(allowed)}", parameter=name)
        for name, (value, allowed) in choices.items()
        if value and value not in allowed
    ]
    if problems:
        raise ValidationFailed(*problems)
    return FlowFilter(status, kind, user_id, None if not has_draft else has_draft == "true", search, sort)


def _optional(given: NewFlowAttributes | ChangedFlowAttributes) -> dict[str, Any]:
    return {name: getattr(given, name) for name in _OPTIONAL if getattr(given, name) is not UNSET}


def _new(body: CreateFlowBody) -> NewFlow:
    given = body.data.attributes
    return NewFlow(given.name, given.type, given.graph, _optional(given), body.data.given_id)
