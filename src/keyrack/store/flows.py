"""Flows, their drafts and versions, and the index of what they use (contract section 17)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Text, bindparam, cast, delete, func, select, update

from keyrack.ids import new_id, new_revision
from keyrack.model import Json
from keyrack.model.flows import Flow, FlowStatus, FlowVersion
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import page_of, search_key
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import (
    api_keys,
    flow_credentials,
    flow_references,
    flow_secrets,
    flow_versions,
    flows,
    workspaces,
)

_f, _v, _r = flows.c, flow_versions.c, flow_references.c

_BY_ID = TenantQuery(flows, select(*flows.c).where(_f.id == bindparam("id")))
_HANDING_OVER = TenantChange(
    flows,
    update(flows)
    .where(_f.workspace_id == bindparam("workspace"), _f.user_id == bindparam("user"))
    .values(user_id=bindparam("successor")),
    scans=True,
)
_REMOVAL = TenantChange(flows, delete(flows).where(_f.id == bindparam("id")), scans=True)
_OF_CONTRACT = _f.workspace_id.in_(
    select(workspaces.c.id).where(workspaces.c.contract_id == bindparam("contract"), workspaces.c.tenant_id == TENANT)
)
_INACTIVE = FlowStatus.inactive.value
_STOPPING_ALL = TenantChange(
    flows,
    update(flows)
    .where(_OF_CONTRACT, _f.status != _INACTIVE)
    .values(status=_INACTIVE, current_status=_INACTIVE, last_stop_time=bindparam("now")),
    scans=True,
)
_KEYS_OF_FLOW = Change(
    delete(api_keys).where(
        api_keys.c.flow_id.in_(select(_f.id).where(_f.tenant_id == TENANT, _f.id == bindparam("id")))
    )
)
_KEYS_OF_CONTRACT = Change(
    delete(api_keys).where(api_keys.c.flow_id.in_(select(_f.id).where(_f.tenant_id == TENANT, _OF_CONTRACT))),
    scans=True,
)
_LAST_VERSION = TenantQuery(
    flow_versions, select(func.max(_v.number).label("number")).where(_v.flow_id == bindparam("flow"))
)
_VERSION = TenantQuery(
    flow_versions, select(*_v).where(_v.flow_id == bindparam("flow"), _v.hash == bindparam("version"))
)
_REFERENCES_GONE = TenantChange(
    flow_references,
    delete(flow_references).where(_r.flow_id == bindparam("flow"), _r.place == bindparam("where")),
)
_OF_VERSIONS = TenantQuery(
    flow_references,
    select(_r.component_id, _r.revision).where(_r.flow_id == bindparam("flow"), _r.place == "versions"),
)
_COMPONENTS_IN = (
    select(_r.component_id)
    .join_from(flow_references, flows, _r.flow_id == _f.id)
    .where(_f.workspace_id == bindparam("workspace"))
    .distinct()
)
_NAMED_IN = TenantQuery(flow_references, _COMPONENTS_IN.where(_r.place != "draft"), scans=True)
_CURRENT_IN = TenantQuery(flow_references, _COMPONENTS_IN.where(_r.place.in_(("graph", "draft"))), scans=True)
_CREDENTIALS_GONE = TenantChange(
    flow_credentials, delete(flow_credentials).where(flow_credentials.c.flow_id == bindparam("flow"))
)
_SECRETS_GONE = TenantChange(flow_secrets, delete(flow_secrets).where(flow_secrets.c.flow_id == bindparam("flow")))


class FlowRows(TenantTable):
    """The flows of the unit's tenant."""

    table = flows

    async def add(self, workspace_id: str, user_id: str, name: str, kind: str, graph: Json, attributes: Json) -> Flow:
        """Create an inactive flow with its first version."""
        now = self.unit.clock()
        flow_id, version = new_id(), new_revision()
        await self.insert(
            {
                "id": flow_id, "workspace_id": workspace_id, "user_id": user_id,
                **_texts(name, attributes), "type": kind, "status": FlowStatus.inactive.value,
                "current_status": FlowStatus.inactive.value, "graph": graph, "attributes": attributes, "draft": None,
                "latest_version": version, "created_at": now, "updated_at": now, "last_start_time": None,
                "last_stop_time": None,
            }
        )  # fmt: skip
        await FlowVersions(self.unit).add(flow_id, version, graph, user_id)
        made = await self.find(flow_id)
        if made is None:
            raise RuntimeError("a flow was not there right after it was added")
        return made

    async def find(self, flow_id: str) -> Flow | None:
        """Return a flow of the tenant, or None."""
        row = await self.ask_one(_BY_ID, id=flow_id)
        return None if row is None else read_flow(row)

    async def change(self, flow: Flow, user_id: str) -> Flow:
        """Store a flow's changed values as a new version."""
        version, now = new_revision(), self.unit.clock()
        changed = {
            **_texts(flow.name, flow.attributes), "type": flow.type, "graph": flow.graph,
            "attributes": flow.attributes, "latest_version": version, "updated_at": now,
        }  # fmt: skip
        await self.set_columns(flow.id, changed)
        await FlowVersions(self.unit).add(flow.id, version, flow.graph, user_id)
        return await self._again(flow.id)

    async def set_status(self, flow_id: str, status: FlowStatus) -> Flow:
        """Start or stop a flow; without a runner the actual state follows at once (contract 0.19).

        The task keys of a flow that stops are gone (contract 0.16).
        """
        moment = "last_start_time" if status is FlowStatus.active else "last_stop_time"
        changed = {"status": status.value, "current_status": status.value, moment: self.unit.clock()}
        await self.set_columns(flow_id, changed)
        if status is not FlowStatus.active:
            await _KEYS_OF_FLOW.run(self.unit.connection, tenant_id=self.unit.tenant_id, id=flow_id)
        return await self._again(flow_id)

    async def stop_all(self, contract_id: str) -> None:
        """Stop all flows of a contract; the keys of their steps are gone (contract section 9, 0.16)."""
        await self.make(_STOPPING_ALL, contract=contract_id, now=self.unit.clock())
        await _KEYS_OF_CONTRACT.run(self.unit.connection, tenant_id=self.unit.tenant_id, contract=contract_id)

    async def set_draft(self, flow_id: str, draft: Json | None) -> None:
        """Store or drop a flow's draft."""
        await self.set_columns(flow_id, {"draft": draft})

    async def hand_over(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's flows in a workspace to another user (contract section 10)."""
        await self.make(_HANDING_OVER, workspace=workspace_id, user=user_id, successor=successor)

    async def remove(self, flow_id: str) -> bool:
        """Delete a flow with draft, versions and references."""
        return await self.make(_REMOVAL, id=flow_id) == 1

    async def _again(self, flow_id: str) -> Flow:
        found = await self.find(flow_id)
        if found is None:
            raise RuntimeError("a flow vanished inside its transaction")
        return found


class FlowVersions(TenantTable):
    """Stored versions of flows."""

    table = flow_versions

    async def add(self, flow_id: str, version: str, graph: Json, user_id: str) -> None:
        """Store a version; numbers count up per flow."""
        last = await self.ask(_LAST_VERSION, flow=flow_id)
        number = (last[0].number or 0) + 1
        await self.insert(
            {
                "flow_id": flow_id, "hash": version, "number": number,
                "graph": graph, "user_id": user_id, "created_at": self.unit.clock(),
            }
        )  # fmt: skip

    async def page(self, flow_id: str, *, limit: int | None, offset: int) -> tuple[Sequence[FlowVersion], int]:
        """List a flow's versions, oldest first; return a page and the total. Large graphs are left out; see `whole`."""
        v = flow_versions.c
        light = [column for column in v if column is not v.graph]
        query = self.select(*light, *read_along(limit, v.graph)).where(v.flow_id == flow_id).order_by(v.number)
        rows, total = await page_of(self.unit.connection, query, v.number, limit=limit, offset=offset)
        return [replace(_version(row), left_out=row.left_out) for row in rows], total

    async def whole(self, flow_id: str, found: Sequence[FlowVersion]) -> Mapping[str, FlowVersion]:
        """Return by hash those of some versions of a flow that are still there, with their graphs as text."""
        v = flow_versions.c
        query = self.select(v.hash, cast(v.graph, Text).label("graph")).where(v.flow_id == flow_id)
        rows = await self.all(query.where(v.hash.in_([each.hash for each in found])))
        texts = {row.hash: row.graph.encode() for row in rows}
        return {each.hash: replace(each, graph_text=texts[each.hash]) for each in found if each.hash in texts}

    async def find(self, flow_id: str, version: str) -> FlowVersion | None:
        """Return one version of a flow, or None."""
        row = await self.ask_one(_VERSION, flow=flow_id, version=version)
        return None if row is None else _version(row)


class FlowReferences(TenantTable):
    """The index of components that flows name: what blocks deletions (contract 0.1, section 22)."""

    table = flow_references

    async def replace(self, flow_id: str, place: str, used: Iterable[tuple[str, str]]) -> None:
        """Set what a flow's `graph` or `draft` names: (component id, revision) pairs."""
        await self.make(_REFERENCES_GONE, flow=flow_id, where=place)
        await self._add(flow_id, place, used)

    async def keep(self, flow_id: str, used: Iterable[tuple[str, str]]) -> None:
        """Add what a new stored version names; what old versions name stays."""
        there = {(row.component_id, row.revision) for row in await self.ask(_OF_VERSIONS, flow=flow_id)}
        await self._add(flow_id, "versions", [pair for pair in used if pair not in there])

    async def named_in(self, workspace_id: str) -> frozenset[str]:
        """Return the ids of the components that a workspace's flows name in graphs and stored versions, not drafts."""
        return frozenset(row.component_id for row in await self.ask(_NAMED_IN, workspace=workspace_id))

    async def current_in(self, workspace_id: str) -> frozenset[str]:
        """Return the ids of the components that a workspace's flows name in graphs and drafts, not in old versions."""
        return frozenset(row.component_id for row in await self.ask(_CURRENT_IN, workspace=workspace_id))

    async def _add(self, flow_id: str, place: str, used: Iterable[tuple[str, str]]) -> None:
        for component_id, revision in dict.fromkeys(used):
            await self.insert({"flow_id": flow_id, "place": place, "component_id": component_id, "revision": revision})


class FlowCredentials(TenantTable):
    """The index of credentials that flows' current graphs name."""

    table = flow_credentials

    async def replace(self, flow_id: str, credential_ids: Iterable[str]) -> None:
        """Set which credentials a flow's current graph names."""
        await self.make(_CREDENTIALS_GONE, flow=flow_id)
        for credential_id in dict.fromkeys(credential_ids):
            await self.insert({"flow_id": flow_id, "credential_id": credential_id})


class FlowSecrets(TenantTable):
    """The index of auth secrets that flows' current graphs name."""

    table = flow_secrets

    async def replace(self, flow_id: str, secret_ids: Iterable[str]) -> None:
        """Set which secrets a flow's current graph names."""
        await self.make(_SECRETS_GONE, flow=flow_id)
        for secret_id in dict.fromkeys(secret_ids):
            await self.insert({"flow_id": flow_id, "secret_id": secret_id})


def _texts(name: str, attributes: Json) -> Json:
    """Columns of the texts that are searched, with the form in which they are."""
    description = attributes.get("description") or ""
    return {
        "name": name, "name_key": search_key(name),
        "description": description, "description_key": search_key(description),
    }  # fmt: skip


def read_flow(row: "Row[Any]") -> Flow:
    """Build a flow from a row of `flows`."""
    return Flow(
        id=row.id,
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        user_id=row.user_id,
        name=row.name,
        type=row.type,
        status=FlowStatus(row.status),
        current_status=FlowStatus(row.current_status),
        graph=row.graph or {},  # a list may have left it out
        attributes=row.attributes or {},
        draft=row.draft,
        latest_version=row.latest_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_start_time=row.last_start_time,
        last_stop_time=row.last_stop_time,
    )


def _version(row: "Row[Any]") -> FlowVersion:
    return FlowVersion(row.hash, row.tenant_id, row.flow_id, row.graph or {}, row.user_id, row.created_at)
