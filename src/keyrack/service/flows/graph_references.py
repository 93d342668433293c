"""Checks what a flow's graph refers to: components, functions, credentials (contract section 17)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import Problem, StateConflict, ValidationFailed
from keyrack.model.components import Component, Version
from keyrack.model.tenancy import Workspace
from keyrack.service.authz.access import Scope
from keyrack.service.components.visibility import client_missing, workspace_view
from keyrack.service.flows.graph import Node, emitted, parse_graph
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.component_list import ComponentList
from keyrack.store.components import ComponentRows
from keyrack.store.credentials import CredentialRows
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.validation.known_names import listed

_HINTS = 20
"""To how many wrong steps it is said which actions and triggers there are."""


@dataclass(frozen=True, slots=True)
class ResolvedGraph:
    """A graph that can be stored.

    Attributes:
        graph: as submitted, with what emitted nodes and edges have besides.
        used: (component id, revision) pairs it names.
        credential_ids: credentials it names.
        secret_ids: auth secrets it names.
    """

    graph: dict[str, Any]
    used: tuple[tuple[str, str], ...]
    credential_ids: tuple[str, ...]
    secret_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a graph: it names what is not there at all, or what cannot be used (any more)."""

    problem: Problem
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A graph of good form against its surroundings; `gated` are steps that wait for an OAuth client, by pointer."""

    resolved: ResolvedGraph
    findings: tuple[Finding, ...]
    gated: Mapping[str, Component]


class Surroundings(Protocol):
    """What a graph is judged against: a workspace, and what its tenant has and sees."""

    async def component(self, team: str, name: str) -> Component | None:
        """Return a component that the tenant sees."""

    async def gate(self, component: Component) -> bool | None:
        """Tell whether the gate is open for a component (contract section 5); None if the workspace lacks it."""

    async def build(self, component: Component, revision: str | None) -> Version | None:
        """Return a build of a component, by default the latest."""

    async def has_credential(self, credential_id: str, component: Component) -> bool:
        """Tell whether the workspace has a credential of a component."""

    async def has_secret(self, secret_id: str, component: Component) -> bool:
        """Tell whether the workspace has a secret of a client of a component."""


async def judge_graph(around: Surroundings, graph: Mapping[str, Any], nodes: Sequence[Node]) -> Judged:
    """Judge a graph of good form against its surroundings (contract section 17).

    Args:
        around: where the flow is.
        graph: as submitted.
        nodes: its nodes, as `parse_graph` returned them.
    """
    findings: list[Finding] = []
    gated: dict[str, Component] = {}
    used: list[tuple[str, str]] = []
    ids: dict[str, str] = {}
    for node in nodes:
        at = f"{node.pointer}/command"
        component = await around.component(node.team, node.component)
        opened = None if component is None else await around.gate(component)
        if component is None or opened is None:
            absent = Problem("there is no such component in this workspace", at)
            findings.append(Finding(absent, unknown=component is None))
            if component is not None:
                used.append((component.id, node.version or ""))
                ids[node.id] = component.id
            continue
        if not opened:
            gated[at] = component
        findings += await _node_findings(around, node, component)
        build = await around.build(component, node.version)
        ids[node.id] = component.id
        used.append((component.id, build.revision if build else node.version or ""))
        if build is None:
            findings.append(Finding(Problem("the component has no such version", at)))
        elif node.function not in (functions := parse_descriptor(build.descriptor).functions):
            detail = "the component has no such action or trigger"
            if len(findings) < _HINTS:
                detail = f"{detail}; {listed(functions)}"
            findings.append(Finding(Problem(detail, at)))
    raw_nodes = graph["nodes"]
    resolved = ResolvedGraph(
        emitted(graph, ids), tuple(used), tuple(_credential_ids(raw_nodes)), tuple(_secret_ids(raw_nodes))
    )
    return Judged(resolved, tuple(findings), gated)


async def resolve_graph(scope: Scope, workspace: Workspace, graph: Mapping[str, Any]) -> ResolvedGraph:
    """Check a complete graph and resolve its commands.

    What the graph names cannot be deleted until the transaction ends.

    Raises:
        ValidationFailed: with one problem for everything that is wrong.
        OAuthClientMissing: nothing is wrong but that the tenant lacks an OAuth client (contract 0.4).
    """
    nodes = parse_graph(graph)
    named = await _hold(scope, nodes)
    had = await _had(scope, workspace, [component.id for component in named.values()])
    judged = await judge_graph(_Stored(scope, workspace, had, named), graph, nodes)
    problems = [*_empty_ids(nodes), *(finding.problem for finding in judged.findings)]
    if problems:
        raise ValidationFailed(*problems[:100])
    if judged.gated:
        waiting = {component.id: component for component in judged.gated.values()}
        raise client_missing(list(waiting.values()), scope.unit.tenant_id, next(iter(judged.gated)))
    return judged.resolved


@dataclass(frozen=True, slots=True)
class _Stored:
    """The surroundings of a stored workspace.

    Attributes:
        scope: of the workspace.
        workspace: the workspace.
        had: the components it has but for the gate, and whether that is open.
        named: the components the tenant sees, by team and name.
    """

    scope: Scope
    workspace: Workspace
    had: Mapping[str, bool]
    named: Mapping[tuple[str, str], Component]

    async def component(self, team: str, name: str) -> Component | None:
        return self.named.get((team, name))

    async def gate(self, component: Component) -> bool | None:
        return self.had.get(component.id)

    async def build(self, component: Component, revision: str | None) -> Version | None:
        return await _build(self.scope, component, revision)

    async def has_credential(self, credential_id: str, component: Component) -> bool:
        credential = await CredentialRows(self.scope.unit).find(credential_id)
        here = credential is not None and credential.workspace_id == self.workspace.id
        return credential is not None and here and credential.component_id == component.id

    async def has_secret(self, secret_id: str, component: Component) -> bool:
        secret = await AuthSecrets(self.scope.unit).find(secret_id)
        if secret is None or secret.workspace_id != self.workspace.id:
            return False
        client = await find_usable(self.scope.unit, secret.auth_client_id)
        return client is not None and component.id in client.component_ids


async def resolve_draft(scope: Scope, workspace: Workspace, graph: Mapping[str, Any]) -> ResolvedGraph:
    """Check a draft's form and find the components it names already; it need not be complete.

    A step may name its component by `command`, or by `component_id` before a function is chosen.

    Raises:
        ValidationFailed: its form is wrong.
    """
    nodes = parse_graph(graph, complete=False)
    raw_ids = {raw["component_id"] for raw in graph.get("nodes", []) if raw.get("component_id")}
    named = await _hold(scope, nodes, sorted(raw_ids))
    had = await _had(scope, workspace, [*raw_ids, *(component.id for component in named.values())])
    used = [(component_id, "") for component_id in sorted(raw_ids) if component_id in had]
    ids: dict[str, str] = {}
    for node in nodes:
        component = _component(had, named, node)
        if component is not None:
            build = await _build(scope, component, node.version)
            used.append((component.id, build.revision if build else ""))
            ids[node.id] = component.id
    return ResolvedGraph(emitted(graph, ids), tuple(used), (), ())


async def require_startable(scope: Scope, graph: Mapping[str, Any]) -> None:
    """Insist that the tenant has the OAuth clients that a flow's components ask for (contract section 17, start).

    What the graph names cannot be deleted until the transaction ends.

    Raises:
        OAuthClientMissing: one is missing.
        StateConflict: an auth secret that a step names was deleted while the flow was inactive (contract 15.2).
    """
    component_ids = sorted({node["component_id"] for node in graph["nodes"]})
    await ComponentRows(scope.unit).hold([], component_ids)
    await OAuthClientRows(scope.unit).hold(component_ids)
    await CredentialRows(scope.unit).hold(_credential_ids(graph["nodes"]))
    secrets = await AuthSecrets(scope.unit).hold(_secret_ids(graph["nodes"]))
    served = await OAuthClientRows(scope.unit).served_among(component_ids)
    waiting = [
        component
        for component in await ComponentRows(scope.unit).list(component_ids)
        if component.uses_oauth_client
        and component.id not in served
        and component.tenant_id != scope.unit.tenant_id  # legacy set-ups of the owner (contract 8.6)
    ]
    if waiting:
        raise client_missing(waiting, scope.unit.tenant_id)
    gone = [node["id"] for node in graph["nodes"] if node.get("secret_id") and node["secret_id"] not in secrets]
    if gone:
        raise StateConflict(f"the auth secrets of these steps were deleted: {', '.join(gone[:20])}")


async def _hold(scope: Scope, nodes: Sequence[Node], ids: Sequence[str] = ()) -> Mapping[tuple[str, str], Component]:
    """Keep what the nodes name from being deleted; return the components the tenant sees by team and name.

    Whoever deletes one of them locks it first: so either we find it gone, or its deletion finds this flow.
    """
    components = ComponentRows(scope.unit)
    names = sorted({(node.team, node.component) for node in nodes})
    await components.hold(names, ids)
    found = {name: await components.find_by_name(*name) for name in names}
    seen = {name: component for name, component in found.items() if component is not None}
    await OAuthClientRows(scope.unit).hold(sorted({component.id for component in seen.values()} | set(ids)))
    await CredentialRows(scope.unit).hold(_credential_ids(node.raw for node in nodes))
    await AuthSecrets(scope.unit).hold(_secret_ids(node.raw for node in nodes))
    return seen


def _credential_ids(raw_nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [raw["credentials_id"] for raw in raw_nodes if raw.get("credentials_id")]


def _empty_ids(nodes: Iterable[Node]) -> list[Problem]:
    """Return what is wrong with steps that name a credential or secret by an empty text: there is none (section 17).

    A script whose consent failed sends such. Graphs that are stored already, or come in a file of another
    installation, may have them; they are read as if nothing was named.
    """
    return [
        Problem(f"is empty: name the step's {what}, or leave the member out", f"{node.pointer}/{name}")
        for node in nodes
        for name, what in (("credentials_id", "credential"), ("secret_id", "secret"))
        if node.raw.get(name) == ""
    ]


def _secret_ids(raw_nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [raw["secret_id"] for raw in raw_nodes if raw.get("secret_id")]


async def _had(scope: Scope, workspace: Workspace, component_ids: Iterable[str]) -> Mapping[str, bool]:
    """Return which components the workspace has but for the gate, and whether that is open."""
    view = await workspace_view(scope.unit, workspace)
    return await ComponentList(scope.unit).among(view, sorted(set(component_ids)))


def _component(had: Mapping[str, bool], named: Mapping[tuple[str, str], Component], node: Node) -> Component | None:
    found = named.get((node.team, node.component))
    return found if found is not None and found.id in had else None


async def _build(scope: Scope, component: Component, revision: str | None) -> Version | None:
    if revision is None:
        return component.latest
    return await ComponentVersions(scope.unit).find(component.id, revision)


async def _node_findings(around: Surroundings, node: Node, component: Component) -> list[Finding]:
    findings = []
    given = node.raw.get("component_id")
    if given is not None and given != component.id:
        problem = Problem("is not the component that command names", f"{node.pointer}/component_id")
        findings.append(Finding(problem, unknown=True))
    credential_id = node.raw.get("credentials_id")
    if credential_id and not await around.has_credential(credential_id, component):
        detail = "there is no such credential of this component in this workspace"
        findings.append(Finding(Problem(detail, f"{node.pointer}/credentials_id")))
    secret_id = node.raw.get("secret_id")
    if secret_id and not await around.has_secret(secret_id, component):
        detail = "there is no such secret of a client of this component in this workspace"
        findings.append(Finding(Problem(detail, f"{node.pointer}/secret_id")))
    return findings
