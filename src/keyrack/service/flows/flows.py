"""Flows (contract section 17): create, change, start, stop, delete, drafts, versions, step configuration (18.2)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keyrack.errors import Forbidden, NotFound
from keyrack.model.flows import Flow, FlowStatus, FlowVersion
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.tenancy import Workspace
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_SECRET_CREDENTIALS
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.service.authz.task_users import READ_FLOWS, READ_STEP
from keyrack.service.flows.graph_references import ResolvedGraph, require_startable, resolve_draft, resolve_graph
from keyrack.service.flows.step_configuration import STEP, step_configuration
from keyrack.store.core.large_columns import in_batches
from keyrack.store.flow_list import FlowFilter, FlowList
from keyrack.store.flows import FlowCredentials, FlowReferences, FlowRows, FlowSecrets, FlowVersions
from keyrack.store.workspaces import WorkspaceRows
from keyrack.validation.unvalidated import Unvalidated

_EDIT, _TOGGLE = "workspaces.flow.edit", "workspaces.flow.toggleStatus"
_MEMBERS_ONLY = "only members of the workspace can see its flows"


@dataclass(frozen=True, slots=True)
class NewFlow:
    """What a caller sends to create a flow."""

    name: str
    type: str
    graph: Mapping[str, Any]
    attributes: Mapping[str, Any]
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedFlow:
    """What a caller sends to change one; None keeps what is stored."""

    name: str | None = None
    type: str | None = None
    graph: Mapping[str, Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Flows:
    """Use cases of contract section 17."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(
        self, who: Principal, workspace_id: str, wanted: FlowFilter, *, limit: int | None, offset: int
    ) -> tuple[Sequence[Flow], int]:
        """List a workspace's flows; return a page and the total."""
        async with self._access.workspace(who, workspace_id, door=READ_FLOWS) as scope:
            scope.require_that(scope.in_workspace, _MEMBERS_ONLY)
            return await FlowList(scope.unit).page(workspace_id, wanted, limit=limit, offset=offset)

    async def using(
        self,
        who: Principal,
        workspace_id: str,
        *,
        limit: int,
        offset: int,
        secret_id: str = "",
        credential_id: str = "",
        search: str = "",
    ) -> tuple[Sequence[Flow], int]:
        """List a workspace's flows that name a secret or a credential, active or not; return a page and the total.

        Args:
            who: the caller.
            workspace_id: where it is.
            limit: how many at most.
            offset: how many to pass over.
            secret_id: the secret, unless it is a credential.
            credential_id: the credential.
            search: what the name or the description must have in it; empty for all.

        Raises:
            Forbidden: the caller is no member of the workspace.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace, _MEMBERS_ONLY)
            return await FlowList(scope.unit).using(
                workspace_id,
                limit=limit,
                offset=offset,
                secret_id=secret_id,
                credential_id=credential_id,
                search=search,
            )

    def whole(self, found: Sequence[Flow]) -> AsyncIterator[Flow]:
        """Yield the flows of a list with what was left out."""

        async def read(some: Sequence[Flow]) -> Mapping[str, Flow]:
            async with self._access.reading_on(some[0].tenant_id) as unit:
                return await FlowList(unit).whole(some)

        return in_batches(found, lambda flow: flow.left_out, lambda flow: flow.id, read)

    async def get(self, who: Principal, flow_id: str) -> Flow:
        """Return one.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
        """
        async with self._access.by_resource(who, "flow", flow_id, door=READ_FLOWS) as scope:
            return await _find(scope, flow_id)

    async def create(self, who: Principal, workspace_id: Unvalidated[str], new: Unvalidated[NewFlow]) -> Flow:
        """Create an inactive flow.

        Raises:
            ValidationFailed: the body or the graph is wrong.
            IdConflict: the body has the id of another flow.
            RelatedNotFound: there is no such workspace.
            OAuthClientMissing: a component waits for the tenant's OAuth client (contract 0.4).
            Forbidden: no `workspaces.flow.edit`, or the caller is no user.
        """
        with named_in_body("workspace"):
            async with self._access.workspace(who, workspace_id.validated(), "flow.create") as scope:
                scope.require(_EDIT)
                _require_person(who)
                wanted = new.validated()
                await refuse_taken(scope, "flow", wanted.given_id)
                resolved = await resolve_graph(scope, await _workspace(scope), wanted.graph)
                flow = await FlowRows(scope.unit).add(
                    str(scope.place.workspace_id),
                    who.id,
                    wanted.name,
                    wanted.type,
                    resolved.graph,
                    dict(wanted.attributes),
                )
                await _index(scope, flow.id, resolved)
                scope.audit_target("flow", flow.id)
                return flow

    async def change(self, who: Principal, flow_id: str, new: Unvalidated[ChangedFlow]) -> Flow:
        """Change a flow; every change is a new version.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
            ValidationFailed: the body or the graph is wrong.
        """
        async with self._access.by_resource(who, "flow", flow_id, "flow.edit") as scope:
            scope.require(_EDIT)
            _require_person(who)
            await FlowRows(scope.unit).lock_to_change(flow_id)
            flow = await _find(scope, flow_id)
            wanted = new.validated()
            if wanted.graph is not None:
                resolved = await resolve_graph(scope, await _workspace(scope), wanted.graph)
                flow = replace(flow, graph=resolved.graph)
                await _index(scope, flow_id, resolved)
            flow = replace(
                flow,
                name=wanted.name or flow.name,
                type=wanted.type or flow.type,
                attributes={**flow.attributes, **wanted.attributes},
            )
            changed = await FlowRows(scope.unit).change(flow, who.id)
            scope.audit_target("flow", flow_id)
            return changed

    async def start(self, who: Principal, flow_id: str) -> Flow:
        """Start a flow; one that is active already stays as it is.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
            OAuthClientMissing: a component needs an OAuth client that the tenant lacks.
            StateConflict: an auth secret that a step names was deleted.
        """
        async with self._access.by_resource(who, "flow", flow_id, "flow.start") as scope:
            scope.require(_TOGGLE)
            await FlowRows(scope.unit).lock_to_change(flow_id)
            flow = await _find(scope, flow_id)
            scope.audit_target("flow", flow_id)
            if flow.status is FlowStatus.active:
                return flow
            await require_startable(scope, flow.graph)
            return await FlowRows(scope.unit).set_status(flow_id, FlowStatus.active)

    async def stop(self, who: Principal, flow_id: str) -> None:
        """Stop a flow; one that is inactive already stays as it is.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
        """
        async with self._access.by_resource(who, "flow", flow_id, "flow.stop") as scope:
            scope.require(_TOGGLE)
            await FlowRows(scope.unit).lock_to_change(flow_id)
            flow = await _find(scope, flow_id)
            if flow.status is not FlowStatus.inactive:
                await FlowRows(scope.unit).set_status(flow_id, FlowStatus.inactive)
            scope.audit_target("flow", flow_id)

    async def delete(self, who: Principal, flow_id: str) -> None:
        """Delete a flow, active or not, with draft and versions.

        Raises:
            NotFound: there is none, or the caller is no member of its workspace.
        """
        async with self._access.by_resource(who, "flow", flow_id, "flow.delete") as scope:
            scope.require(_EDIT)
            if not await FlowRows(scope.unit).remove(flow_id):
                raise NotFound
            scope.audit_target("flow", flow_id)

    async def draft(self, who: Principal, flow_id: str) -> Flow:
        """Return a flow that has a draft.

        Raises:
            NotFound: there is no such flow, or it has no draft.
        """
        async with self._access.by_resource(who, "flow", flow_id) as scope:
            scope.require(_EDIT)
            flow = await _find(scope, flow_id)
            if flow.draft is None:
                raise NotFound("the flow has no draft")
            return flow

    async def put_draft(self, who: Principal, flow_id: str, new: Unvalidated[Mapping[str, Any]]) -> Flow:
        """Store a draft; its graph need not be complete, but counts as use of the components it names."""
        async with self._access.by_resource(who, "flow", flow_id, "flow.draft") as scope:
            scope.require(_EDIT)
            await FlowRows(scope.unit).lock_to_change(flow_id)
            flow = await _find(scope, flow_id)
            resolved = await resolve_draft(scope, await _workspace(scope), new.validated())
            await FlowRows(scope.unit).set_draft(flow_id, resolved.graph)
            await FlowReferences(scope.unit).replace(flow_id, "draft", resolved.used)
            scope.audit_target("flow", flow_id)
            return replace(flow, draft=resolved.graph)

    async def delete_draft(self, who: Principal, flow_id: str) -> None:
        """Drop a flow's draft.

        Raises:
            NotFound: there is no such flow, or it has no draft.
        """
        async with self._access.by_resource(who, "flow", flow_id, "flow.draft-delete") as scope:
            scope.require(_EDIT)
            await FlowRows(scope.unit).lock_to_change(flow_id)
            if (await _find(scope, flow_id)).draft is None:
                raise NotFound("the flow has no draft")
            await FlowRows(scope.unit).set_draft(flow_id, None)
            await FlowReferences(scope.unit).replace(flow_id, "draft", ())
            scope.audit_target("flow", flow_id)

    async def versions(
        self, who: Principal, flow_id: str, *, limit: int | None, offset: int
    ) -> tuple[Sequence[FlowVersion], int]:
        """List a flow's versions, oldest first; return a page and the total."""
        async with self._access.by_resource(who, "flow", flow_id) as scope:
            await _find(scope, flow_id)
            return await FlowVersions(scope.unit).page(flow_id, limit=limit, offset=offset)

    def whole_versions(self, found: Sequence[FlowVersion]) -> AsyncIterator[FlowVersion]:
        """Yield the versions of a list with what was left out."""

        async def read(some: Sequence[FlowVersion]) -> Mapping[str, FlowVersion]:
            async with self._access.reading_on(some[0].tenant_id) as unit:
                return await FlowVersions(unit).whole(some[0].flow_id, some)

        return in_batches(found, lambda each: each.left_out, lambda each: each.hash, read)

    async def version(self, who: Principal, flow_id: str, version: str) -> FlowVersion:
        """Return one version of a flow.

        Raises:
            NotFound: there is no such flow or version.
        """
        async with self._access.by_resource(who, "flow", flow_id) as scope:
            found = await FlowVersions(scope.unit).find(flow_id, version)
            if found is None:
                raise NotFound("the flow has no such version")
            return found

    async def step(self, who: Principal, flow_id: str, step_id: str) -> dict[str, Any]:
        """Return a step as the runner wants it, credential values included (contract 18.2, 18.3).

        Raises:
            NotFound: there is no such flow or step.
            Forbidden: the caller may not see what the step uses: credentials, or a secret's tokens.
        """
        async with self._access.by_resource(who, "flow", flow_id, door=READ_STEP) as scope:
            scope.require(STEP, GET_SECRET_CREDENTIALS)
            flow = await _find(scope, flow_id)
            node = next((node for node in flow.graph["nodes"] if node["id"] == step_id), None)
            if node is None:
                raise NotFound("the flow has no such step")
            config = await step_configuration(scope, node)
            return {"id": step_id, "comp_id": node["component_id"], "config": config, "snapshot": {}}


def _require_person(who: Principal) -> None:
    """Flows and their versions name the user who made them, so a service account makes none.

    Raises:
        Forbidden: the caller is no user.
    """
    if who.kind is not PrincipalKind.user:
        raise Forbidden("only a user can make or change a flow")


async def _find(scope: Scope, flow_id: str) -> Flow:
    flow = await FlowRows(scope.unit).find(flow_id)
    if flow is None:
        raise NotFound
    return flow


async def _workspace(scope: Scope) -> Workspace:
    workspace = await WorkspaceRows(scope.unit).find(scope.place.workspace_id or "")
    if workspace is None:
        raise NotFound
    return workspace


async def _index(scope: Scope, flow_id: str, resolved: ResolvedGraph) -> None:
    references = FlowReferences(scope.unit)
    await references.replace(flow_id, "graph", resolved.used)
    await references.keep(flow_id, resolved.used)
    await FlowCredentials(scope.unit).replace(flow_id, resolved.credential_ids)
    await FlowSecrets(scope.unit).replace(flow_id, resolved.secret_ids)
