"""A flow's graph against what its workspace has: components, functions, credentials (contract section 17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyrack.descriptor import parse
from keyrack.errors import OAuthClientMissing, Problem, ValidationFailed
from keyrack.model import Component, Version, Workspace
from keyrack.service.access import Scope
from keyrack.service.graph import Node, parse_graph, with_edge_ids
from keyrack.service.sight import viewpoint
from keyrack.service.visibility import Viewpoint, gate, workspace_has_ungated
from keyrack.store.components import Components, ComponentVersions
from keyrack.store.credentials import Credentials


@dataclass(frozen=True, slots=True)
class ResolvedGraph:
    """A graph that can be stored.

    Attributes:
        graph: as submitted, with `component_id` on every node and edge ids.
        used: (component id, revision) pairs it names.
        credential_ids: credentials it names.
    """

    graph: dict[str, Any]
    used: tuple[tuple[str, str], ...]
    credential_ids: tuple[str, ...]


async def resolve_graph(scope: Scope, workspace: Workspace, graph: Mapping[str, Any]) -> ResolvedGraph:
    """Check a complete graph and resolve its commands.

    Raises:
        ValidationFailed: with one problem for everything that is wrong.
        OAuthClientMissing: nothing is wrong but that the tenant lacks an OAuth client (contract 0.4).
    """
    nodes = parse_graph(graph)
    view = await viewpoint(scope.unit, workspace.contract_id)
    problems: list[Problem] = []
    gated: list[str] = []
    used: list[tuple[str, str]] = []
    ids: dict[str, str] = {}
    for node in nodes:
        component = await _component(scope, view, workspace, node)
        if component is None:
            problems.append(Problem("there is no such component in this workspace", f"{node.pointer}/command"))
            continue
        if not gate(view, component):
            gated.append(f"{node.pointer}/command")
        problems += await _node_problems(scope, workspace, node, component)
        build = await _build(scope, component, node)
        if build is None:
            problems.append(Problem("the component has no such version", f"{node.pointer}/command"))
            continue
        if node.function not in parse.parse(build.descriptor).functions:
            problems.append(Problem("the component has no such action or trigger", f"{node.pointer}/command"))
        used.append((component.id, build.revision))
        ids[node.id] = component.id
    if problems:
        raise ValidationFailed(*problems[:100])
    if gated:
        raise OAuthClientMissing(pointer=gated[0])
    raw_nodes = [{**raw, "component_id": ids[raw["id"]]} for raw in graph["nodes"]]
    credential_ids = tuple(raw["credentials_id"] for raw in raw_nodes if raw.get("credentials_id"))
    return ResolvedGraph(with_edge_ids({**graph, "nodes": raw_nodes}), tuple(used), credential_ids)


async def resolve_draft(scope: Scope, workspace: Workspace, graph: Mapping[str, Any]) -> ResolvedGraph:
    """Check a draft's form and find the components it names already; it need not be complete.

    Raises:
        ValidationFailed: its form is wrong.
    """
    view = await viewpoint(scope.unit, workspace.contract_id)
    used: list[tuple[str, str]] = []
    for node in parse_graph(graph, complete=False):
        component = await _component(scope, view, workspace, node)
        build = None if component is None else await _build(scope, component, node)
        if component is not None:
            used.append((component.id, build.revision if build else ""))
    return ResolvedGraph(with_edge_ids(graph), tuple(used), ())


async def require_clients(scope: Scope, workspace: Workspace, component_ids: set[str]) -> None:
    """Insist that the tenant has the OAuth clients that a flow's components ask for (contract section 17, start).

    Raises:
        OAuthClientMissing: one is missing.
    """
    view = await viewpoint(scope.unit, workspace.contract_id)
    for component in await Components(scope.unit).list(ids=sorted(component_ids)):
        own_variables = component.tenant_id == scope.unit.tenant_id  # legacy set-ups of the owner (contract 8.6)
        if component.uses_oauth_client and component.id not in view.clients and not own_variables:
            raise OAuthClientMissing(f"the tenant has no OAuth client for the component {component.name!r}")


async def _component(scope: Scope, view: Viewpoint, workspace: Workspace, node: Node) -> Component | None:
    found = await Components(scope.unit).find_by_name(node.team, node.component)
    return found if found is not None and workspace_has_ungated(view, workspace, found) else None


async def _build(scope: Scope, component: Component, node: Node) -> Version | None:
    if node.version is None:
        return component.latest
    return await ComponentVersions(scope.unit).find(component.id, node.version)


async def _node_problems(scope: Scope, workspace: Workspace, node: Node, component: Component) -> list[Problem]:
    problems = []
    given = node.raw.get("component_id")
    if given is not None and given != component.id:
        problems.append(Problem("is not the component that command names", f"{node.pointer}/component_id"))
    credential_id = node.raw.get("credentials_id")
    if credential_id:
        credential = await Credentials(scope.unit).find(credential_id)
        here = credential is not None and credential.workspace_id == workspace.id
        if credential is None or not here or credential.component_id != component.id:
            detail = "there is no such credential of this component in this workspace"
            problems.append(Problem(detail, f"{node.pointer}/credentials_id"))
    if node.raw.get("secret_id"):
        # auth secrets (contract section 15) are not there yet, so none can be found
        problems.append(Problem("there is no such secret in this workspace", f"{node.pointer}/secret_id"))
    return problems
