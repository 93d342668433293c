"""Flows, their drafts and versions, and the index of what they use (contract section 17)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Text, bindparam, cast, delete, func, select

from keyrack.ids import new_id, new_revision
from keyrack.model import Json
from keyrack.model.flows import Flow, FlowStatus, FlowVersion
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import page_of, search_key
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.schema import (
    api_keys,
    flow_credentials,
    flow_references,
    flow_secrets,
    flow_versions,
    flows,
    workspaces,
)

_BY_ID = TenantQuery(flows, select(*flows.c).where(flows.c.id == bindparam("id")))


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
        await self._set(
            flow.id,
            **_texts(flow.name, flow.attributes),
            type=flow.type,
            graph=flow.graph,
            attributes=flow.attributes,
            latest_version=version,
            updated_at=now,
        )
        await FlowVersions(self.unit).add(flow.id, version, flow.graph, user_id)
        return await self._again(flow.id)

    async def set_status(self, flow_id: str, status: FlowStatus) -> Flow:
        """Start or stop a flow; without a runner the actual state follows at once (contract 0.19).

        The task keys of a flow that stops are gone (contract 0.16).
        """
        moment = "last_start_time" if status is FlowStatus.active else "last_stop_time"
        await self._set(flow_id, status=status.value, current_status=status.value, **{moment: self.unit.clock()})
        if status is not FlowStatus.active:
            mine = select(flows.c.id).where(self.mine, flows.c.id == flow_id)
            await self.run(delete(api_keys).where(api_keys.c.flow_id.in_(mine)))
        return await self._again(flow_id)

    async def stop_all(self, contract_id: str) -> None:
        """Stop all flows of a contract; the keys of their steps are gone (contract section 9, 0.16)."""
        w, now, inactive = workspaces.c, self.unit.clock(), FlowStatus.inactive.value
        places = select(w.id).where(w.contract_id == contract_id, w.tenant_id == self.unit.tenant_id)
        here = flows.c.workspace_id.in_(places)
        stopped = {"status": inactive, "current_status": inactive, "last_stop_time": now}
        await self.run(self.update().where(here, flows.c.status != inactive).values(**stopped))
        ids = select(flows.c.id).where(self.mine, here)
        await self.run(delete(api_keys).where(api_keys.c.flow_id.in_(ids)))

    async def set_draft(self, flow_id: str, draft: Json | None) -> None:
        """Store or drop a flow's draft."""
        await self._set(flow_id, draft=draft)

    async def hand_over(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's flows in a workspace to another user (contract section 10)."""
        own = (flows.c.workspace_id == workspace_id, flows.c.user_id == user_id)
        await self.run(self.update().where(*own).values(user_id=successor))

    async def remove(self, flow_id: str) -> bool:
        """Delete a flow with draft, versions and references."""
        return await self.run(self.delete().where(flows.c.id == flow_id)) == 1

    async def _set(self, flow_id: str, **values: Any) -> None:
        await self.run(self.update().where(flows.c.id == flow_id).values(**values))

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
        v = flow_versions.c
        last = await self.value(self.select(func.max(v.number)).where(v.flow_id == flow_id))
        await self.insert(
            {
                "flow_id": flow_id, "hash": version, "number": (last or 0) + 1, "graph": graph, "user_id": user_id,
                "created_at": self.unit.clock(),
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
        v = flow_versions.c
        row = await self.first(self.select().where(v.flow_id == flow_id, v.hash == version))
        return None if row is None else _version(row)


class FlowReferences(TenantTable):
    """The index of components that flows name: what blocks deletions (contract 0.1, section 22)."""

    table = flow_references

    async def replace(self, flow_id: str, place: str, used: Iterable[tuple[str, str]]) -> None:
        """Set what a flow's `graph` or `draft` names: (component id, revision) pairs."""
        r = flow_references.c
        await self.run(self.delete().where(r.flow_id == flow_id, r.place == place))
        await self._add(flow_id, place, used)

    async def keep(self, flow_id: str, used: Iterable[tuple[str, str]]) -> None:
        """Add what a new stored version names; what old versions name stays."""
        r = flow_references.c
        known = await self.all(
            self.select(r.component_id, r.revision).where(r.flow_id == flow_id, r.place == "versions")
        )
        there = {(row.component_id, row.revision) for row in known}
        await self._add(flow_id, "versions", [pair for pair in used if pair not in there])

    async def named_in(self, workspace_id: str) -> frozenset[str]:
        """Return the ids of the components that a workspace's flows name in graphs and stored versions, not drafts."""
        r, f = flow_references.c, flows.c
        query = self.select(r.component_id).join_from(flow_references, flows, r.flow_id == f.id)
        rows = await self.all(query.where(f.workspace_id == workspace_id, r.place != "draft").distinct())
        return frozenset(row.component_id for row in rows)

    async def current_in(self, workspace_id: str) -> frozenset[str]:
        """Return the ids of the components that a workspace's flows name in graphs and drafts, not in old versions."""
        r, f = flow_references.c, flows.c
        query = self.select(r.component_id).join_from(flow_references, flows, r.flow_id == f.id)
        rows = await self.all(query.where(f.workspace_id == workspace_id, r.place.in_(("graph", "draft"))).distinct())
        return frozenset(row.component_id for row in rows)

    async def _add(self, flow_id: str, place: str, used: Iterable[tuple[str, str]]) -> None:
        for component_id, revision in dict.fromkeys(used):
            await self.insert({"flow_id": flow_id, "place": place, "component_id": component_id, "revision": revision})


class FlowCredentials(TenantTable):
    """The index of credentials that flows' current graphs name."""

    table = flow_credentials

    async def replace(self, flow_id: str, credential_ids: Iterable[str]) -> None:
        """Set which credentials a flow's current graph names."""
        await self.run(self.delete().where(flow_credentials.c.flow_id == flow_id))
        for credential_id in dict.fromkeys(credential_ids):
            await self.insert({"flow_id": flow_id, "credential_id": credential_id})


class FlowSecrets(TenantTable):
    """The index of auth secrets that flows' current graphs name."""

    table = flow_secrets

    async def replace(self, flow_id: str, secret_ids: Iterable[str]) -> None:
        """Set which secrets a flow's current graph names."""
        await self.run(self.delete().where(flow_secrets.c.flow_id == flow_id))
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
