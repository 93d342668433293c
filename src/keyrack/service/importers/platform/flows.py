"""Imports flows: their graphs are checked as those of requests, against the file and what is stored.

A flow that is not active may have fallen behind what it names: a deleted credential, a build without the function. Such
a flow is imported with a warning, as it could be kept where it comes from; an active one must be fit to run.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from sqlalchemy import Row, Table, func, select

from keyrack.errors import ValidationFailed
from keyrack.model.components import Component, Version
from keyrack.model.flows import FlowStatus
from keyrack.model.tenancy import Workspace
from keyrack.service.flows.graph import Node, parse_graph
from keyrack.service.flows.graph_references import Judged, judge_graph
from keyrack.service.importers.platform.grant_records import FlowRecord
from keyrack.service.importers.platform.kinds import Piece, given, or_now, same_place
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.named import check_owner, in_workspace, workspace_of
from keyrack.service.importers.platform.visibility import FileViewpoint, gate, tenant_sees, workspace_has_ungated
from keyrack.store.core.bulk import Complete, RowToWrite
from keyrack.store.schema import flow_credentials, flow_references, flow_secrets, flow_versions, flows

_OPTIONAL = ("description", "cron", "default_mapper_type", "nodes_config", "stats_enabled")
_FIRST_TIMES = ("last_start_time", "last_stop_time")


@dataclass(frozen=True, slots=True)
class _Around:
    """The surroundings of a flow of the file."""

    known: Known
    workspace: Workspace
    view: FileViewpoint

    async def component(self, team: str, name: str) -> Component | None:
        found = await self.known.component_named(self.workspace.tenant_id, team, name)
        return found if found is not None and tenant_sees(self.workspace.tenant_id, found) else None

    async def gate(self, component: Component) -> bool | None:
        if not workspace_has_ungated(self.view, self.workspace, component):
            return None
        return gate(self.view, component)

    async def build(self, component: Component, revision: str | None) -> Version | None:
        return component.latest if revision is None else await self.known.build(component, revision)

    async def has_credential(self, credential_id: str, component: Component) -> bool:
        if credential_id in self.known.broken["credentials"]:  # its own problem is reported already
            return True
        return await self.known.credential(credential_id) == (self.workspace.id, component.id)

    async def has_secret(self, secret_id: str, component: Component) -> bool:
        if secret_id in self.known.broken["auth_secrets"]:
            return True
        found = await self.known.secret(secret_id)
        client = None if found is None else await self.known.auth_client(found[1])
        here = found is not None and found[0] == self.workspace.id
        return here and client is not None and component.id in client.component_ids


@dataclass(frozen=True, slots=True)
class FlowKind:
    """Flows with drafts and versions."""

    table: Table = flows

    async def check(self, known: Known, record: FlowRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a flow."""
        workspace = await workspace_of(known, record.relationships.workspace.data.id, at)
        if workspace is None:
            return
        same_place(known, at, stored, in_workspace(workspace))
        await check_owner(known, record.relationships.user.data.id, workspace.tenant_id, at)
        await self._check_graph(known, record, workspace, at)
        if record.meta.draft is not None:
            try:
                parse_graph(record.meta.draft, f"{at}/meta/draft", complete=False)
            except ValidationFailed as wrong:
                known.report.problems += wrong.problems
        for index, version in enumerate(record.meta.versions):
            pointer = f"{at}/meta/versions/{index}"
            known.unique(f"{pointer}/id", "the flow has this version already", "version", at, version.id)
            user_id = version.relationships.user.data.id
            await check_owner(known, user_id, workspace.tenant_id, pointer)
            try:
                parse_graph(version.attributes.graph, f"{pointer}/attributes/graph")
            except ValidationFailed as wrong:
                known.report.problems += wrong.problems

    async def _check_graph(self, known: Known, record: FlowRecord, workspace: Workspace, at: str) -> None:
        pointer = f"{at}/attributes/graph"
        try:
            nodes = parse_graph(record.attributes.graph, pointer)
            if await _names_broken(known, workspace, nodes):  # what is wrong there is reported already
                return
            judged = await _judged(known, record.attributes.graph, workspace, pointer)
        except ValidationFailed as wrong:
            known.report.problems += wrong.problems
            return
        active = record.attributes.status is FlowStatus.active
        for finding in judged.findings:
            forbidden = active or finding.unknown
            (known.report.problems if forbidden else known.report.warnings).append(finding.problem)
        for pointer in judged.gated:
            note = known.report.problem if active else known.report.warn
            note("the tenant has no OAuth client for this component", pointer)

    async def piece(self, known: Known, record: FlowRecord) -> Piece:
        """Return a flow's rows."""
        workspace = await known.workspace(record.relationships.workspace.data.id)
        if workspace is None:
            raise RuntimeError("a flow's workspace that was checked is not known")
        tenant_id, about, user_id = workspace.tenant_id, record.attributes, record.relationships.user.data.id
        judged = await _judged(known, about.graph, workspace, "")
        created, updated = or_now(known, about.created_at), or_now(known, about.updated_at)
        optional = given(**{name: getattr(about, name) for name in _OPTIONAL})
        latest = _latest(record)
        times = {name: getattr(about, name) for name in _FIRST_TIMES}
        main = RowToWrite(
            flows,
            tenant_id,
            {"id": record.id},
            {
                "name": about.name,
                "user_id": user_id,
                "description": optional.get("description") or "",
                "type": about.type,
                "status": about.status,
                "current_status": about.status,
                "graph": judged.resolved.graph,
                "attributes": optional,
                "draft": record.meta.draft,
                "latest_version": latest,
                **given(created_at=about.created_at),
            },
            {
                "workspace_id": workspace.id,
                "created_at": created,
                "updated_at": updated,
                **{name: None if value is UNSET else value for name, value in times.items()},
            },
            touched={"updated_at": updated},
        )
        versions = await _versions(known, record, tenant_id, latest, judged)
        index, exact = await _index(known, record, workspace, judged)
        return Piece(main, versions, (), index, exact)


async def _judged(known: Known, graph: Any, workspace: Workspace, pointer: str) -> Judged:
    nodes = parse_graph(graph, pointer)
    return await judge_graph(await _around(known, workspace), graph, nodes)


async def _names_broken(known: Known, workspace: Workspace, nodes: Iterable[Node]) -> bool:
    """Tell whether a graph may name a component of the file that is itself at fault."""
    broken = known.broken["components"]
    if not broken:
        return False
    named = [await known.component_named(workspace.tenant_id, node.team, node.component) for node in nodes]
    return any(component is None or component.id in broken for component in named)


async def _around(known: Known, workspace: Workspace) -> _Around:
    contract = await known.contract(workspace.contract_id)
    view = None if contract is None else await known.viewpoint(contract)
    if view is None:
        raise RuntimeError("a workspace's contract that was checked is not known")
    return _Around(known, workspace, view)


def _latest(record: FlowRecord) -> str:
    """Return the hash of the latest version: as said, else one that is the same for the same graph."""
    if record.relationships.latest_version is not UNSET:
        return record.relationships.latest_version.data.id
    if record.meta.versions:
        return record.meta.versions[-1].id
    text = json.dumps([record.id, record.attributes.graph], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


async def _versions(known: Known, record: FlowRecord, tenant_id: str, latest: str, judged: Judged) -> list[RowToWrite]:
    """Return the rows of a flow's versions; the latest is there even if the file does not list it."""
    v = flow_versions.c
    query = select(func.max(v.number)).where(v.flow_id == record.id)
    number = int((await known.unit.connection.execute(query)).scalar() or 0)
    stored = {row.hash for row in await known.bulk.rows(v.flow_id, [record.id])}
    made = [
        (version.id, version.attributes.graph, version.relationships.user.data.id, version.attributes.created_at)
        for version in record.meta.versions
    ]
    if latest not in {version[0] for version in made}:
        user_id = record.relationships.user.data.id
        made.append((latest, judged.resolved.graph, user_id, record.attributes.updated_at))
    rows = []
    for revision, graph, user_id, created_at in made:
        number += revision not in stored
        first = {"number": number, "graph": graph, "user_id": user_id, "created_at": or_now(known, created_at)}
        rows.append(RowToWrite(flow_versions, tenant_id, {"flow_id": record.id, "hash": revision}, first=first))
    return rows


async def _index(
    known: Known, record: FlowRecord, workspace: Workspace, judged: Judged
) -> tuple[list[RowToWrite], list[Complete]]:
    """Return the index of what a flow names, made anew: graph, draft and versions (contract 0.1)."""
    tenant_id, flow_id, around = workspace.tenant_id, record.id, await _around(known, workspace)
    named: list[tuple[str, str, str]] = [("graph", *pair) for pair in judged.resolved.used]
    named += [("versions", *pair) for pair in judged.resolved.used]
    graphs = [("versions", version.attributes.graph) for version in record.meta.versions]
    if record.meta.draft is not None:
        graphs.append(("draft", record.meta.draft))
    for place, graph in graphs:
        named += [(place, *pair) for pair in await _used(around, graph)]
    names = ("flow_id", "place", "component_id", "revision")
    rows = [
        RowToWrite(flow_references, tenant_id, dict(zip(names, (flow_id, *entry), strict=True)))
        for entry in dict.fromkeys(named)
    ]
    rows += _links(flow_credentials, "credential_id", flow_id, tenant_id, judged.resolved.credential_ids)
    rows += _links(flow_secrets, "secret_id", flow_id, tenant_id, judged.resolved.secret_ids)
    exact = [
        Complete(flow_references, {"flow_id": flow_id, "place": place}, "component_id", _ids(named, place))
        for place in ("graph", "draft")
    ]
    exact.append(
        Complete(flow_credentials, {"flow_id": flow_id}, "credential_id", frozenset(judged.resolved.credential_ids))
    )
    exact.append(Complete(flow_secrets, {"flow_id": flow_id}, "secret_id", frozenset(judged.resolved.secret_ids)))
    return rows, exact


async def _used(around: _Around, graph: Any) -> list[tuple[str, str]]:
    """Return what a draft or an old version names, as far as the tenant sees it."""
    used = []
    for node in parse_graph(graph, "", complete=False):
        component = await around.component(node.team, node.component)
        if component is not None:
            latest = component.latest.revision if component.latest else ""
            used.append((component.id, node.version or latest))
    for raw in graph.get("nodes", []):
        component = await around.known.component(raw["component_id"]) if raw.get("component_id") else None
        if (
            component is not None
            and component.id not in dict(used)
            and tenant_sees(around.workspace.tenant_id, component)
        ):
            used.append((component.id, ""))
    return used


def _ids(named: Iterable[tuple[str, str, str]], place: str) -> frozenset[str]:
    return frozenset(component_id for where, component_id, _ in named if where == place)


def _links(table: Table, column: str, flow_id: str, tenant_id: str, ids: Iterable[str]) -> list[RowToWrite]:
    return [RowToWrite(table, tenant_id, {"flow_id": flow_id, column: each}) for each in dict.fromkeys(ids)]
