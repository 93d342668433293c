"""`keyrack export platform`: the inverse of the import; the same content gives the same bytes on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Table

from keyrack.clock import epoch_ms, iso
from keyrack.descriptor.public import public
from keyrack.errors import NotFound
from keyrack.service.installation import OPERATOR
from keyrack.service.transfer.format import FORMAT, VERSION
from keyrack.service.transfer.importing import Progress
from keyrack.store import schema as t
from keyrack.store.audit import AuditLog
from keyrack.store.directory import Directory
from keyrack.store.dump import Dump
from keyrack.store.store import Store

Write = Callable[[bytes], Awaitable[None]]
Made = Callable[[Sequence["Row[Any]"]], Awaitable[list[dict[str, Any]]]]


def link(kind: str, resource_id: str) -> dict[str, Any]:
    """Return linkage to a resource."""
    return {"data": {"id": resource_id, "type": kind}}


def times(row: "Row[Any]", *names: str) -> dict[str, Any]:
    """Return those times of a row that are set."""
    values: dict[str, datetime | None] = dict(row._asdict())
    return {name: iso(moment) for name in names if (moment := values[name]) is not None}


class Exporter:
    """Exports some tenants of an installation, or all."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(
        self, write: Write, tenants: Sequence[str], progress: Progress, *, secrets: bool
    ) -> Mapping[str, int]:
        """Write a file; return how many records of each section it has.

        Args:
            write: takes the file, part by part.
            tenants: ids of the tenants to export; none for all, and global auth clients.
            progress: is told how far it is.
            secrets: whether secret values are written too.

        Raises:
            NotFound: there is no such tenant.
        """
        counts: dict[str, int] = {}
        async with self._store.installation() as unit:
            dump = Dump(unit, tenants)
            await dump.begin()
            for tenant_id in tenants:
                if await Directory(unit).tenant(tenant_id) is None:
                    raise NotFound("there is no such tenant")
            await write(f'{{"format":"{FORMAT}","version":{VERSION},"secrets":{str(secrets).lower()}'.encode())
            for name, (table, made) in Records(dump, secrets=secrets).sections().items():
                progress.section("exporting", name, await dump.count(table))
                await write(f',\n"{name}":['.encode())
                counts[name] = 0
                async for record in _each(dump, table, made, progress):
                    await write(b",\n" if counts[name] else b"\n")
                    await write(msgspec.json.encode(record, order="sorted"))
                    counts[name] += 1
                await write(b"]")
            await write(b"}\n")
        await self._audit(tenants, secrets=secrets)
        return counts

    async def _audit(self, tenants: Sequence[str], *, secrets: bool) -> None:
        kind = "export-with-secrets" if secrets else "export"
        async with self._store.installation(writes=True) as unit:
            await AuditLog(unit).append(OPERATOR, f"platform.{kind}", ("platform", None), "allowed")
            async for rows in Dump(unit, tenants).pages(t.tenants):
                for row in rows:
                    log = AuditLog(unit.of(row.id))
                    await log.append(OPERATOR, f"tenant.{kind}", ("tenant", row.id), "allowed")


async def _each(dump: Dump, table: Table, made: Made, progress: Progress) -> AsyncIterator[dict[str, Any]]:
    async for rows in dump.pages(table):
        for record in await made(rows):
            yield record
        progress.advance(len(rows))


class Records:
    """Makes records of rows."""

    def __init__(self, dump: Dump, *, secrets: bool) -> None:
        self._dump = dump
        self._secrets = secrets

    def sections(self) -> Mapping[str, tuple[Table, Made]]:
        """Return the table and the maker of each section, in order."""
        return {
            "tenants": (t.tenants, self._tenants),
            "users": (t.users, self._users),
            "contracts": (t.contracts, self._contracts),
            "workspaces": (t.workspaces, self._workspaces),
            "teams": (t.teams, self._teams),
            "components": (t.components, self._components),
            "oauth_clients": (t.oauth_clients, self._oauth_clients),
            "auth_clients": (t.auth_clients, self._auth_clients),
            "credentials": (t.credentials, self._credentials),
            "auth_secrets": (t.auth_secrets, self._auth_secrets),
            "flows": (t.flows, self._flows),
        }

    async def _tenants(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        roles = await self._dump.under(t.roles.c.tenant_id, [row.id for row in rows], t.roles.c.position)
        return [
            {
                "id": row.id,
                "type": "tenant",
                "attributes": {**row.attributes, "name": row.name, "app_domain": row.app_domain},
                "meta": {
                    "created_at": iso(row.created_at),
                    "roles": [
                        {"scope": role.scope, "role": role.role, "permissions": role.permissions, "i18n": role.i18n}
                        for role in roles.get(row.id, ())
                    ],
                },
            }
            for row in rows
        ]

    async def _users(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        keys = await self._dump.under(t.api_keys.c.user_id, [row.id for row in rows], t.api_keys.c.id)
        return [
            {
                "id": row.id,
                "type": "user",
                "attributes": {
                    "email": row.email,
                    "first_name": row.first_name,
                    "last_name": row.last_name,
                    "company": row.company,
                    **times(row, "registered", "last_login"),
                },
                "relationships": {"tenant": link("tenant", row.tenant_id)},
                "meta": {"tenant_roles": row.tenant_roles, **self._sign_in(row, keys.get(row.id, ()))},
            }
            for row in rows
        ]

    def _sign_in(self, row: "Row[Any]", keys: Sequence["Row[Any]"]) -> dict[str, Any]:
        if not self._secrets:
            return {}
        listed = [
            {"id": key.id, "name": key.name, "key_hash": key.key_hash, **times(key, "created_at", "expires_at")}
            for key in keys
        ]
        return {"password_hash": row.password_hash, "api_keys": listed}

    async def _members(self, column: Any, rows: Sequence["Row[Any]"]) -> Mapping[str, list[dict[str, Any]]]:
        found = await self._dump.under(column, [row.id for row in rows], column.table.c.user_id)
        return {
            parent: [{"id": member.user_id, "attributes": {"roles": member.roles}} for member in members]
            for parent, members in found.items()
        }

    async def _contracts(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        members = await self._members(t.contract_members.c.contract_id, rows)
        return [
            {
                "id": row.id,
                "type": "contract",
                "attributes": {
                    **row.attributes,
                    "name": row.name,
                    "status": row.status,
                    "available_roles": [{"scope": scope, "role": role} for scope, role in row.available_roles],
                    "custom_data": row.custom_data,
                },
                "relationships": {"tenant": link("tenant", row.tenant_id)},
                "meta": {"members": members.get(row.id, [])},
            }
            for row in rows
        ]

    async def _workspaces(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        members = await self._members(t.workspace_members.c.workspace_id, rows)
        return [
            {
                "id": row.id,
                "type": "workspace",
                "attributes": {**row.attributes, "name": row.name, "type": row.type},
                "relationships": {"contract": link("contract", row.contract_id)},
                "meta": {"members": members.get(row.id, [])},
            }
            for row in rows
        ]

    async def _teams(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        users = await self._dump.under(t.team_members.c.team_id, [row.id for row in rows], t.team_members.c.user_id)
        return [
            {
                "id": row.id,
                "type": "team",
                "attributes": {"name": row.name},
                "relationships": {
                    "contract": link("contract", row.contract_id),
                    "users": {"data": [{"id": user.user_id, "type": "user"} for user in users.get(row.id, ())]},
                },
            }
            for row in rows
        ]

    async def _components(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        ids = [row.id for row in rows]
        v, w, e = t.component_versions.c, t.component_whitelists.c, t.component_env.c
        builds = await self._dump.under(v.component_id, ids, v.number)
        listed = await self._dump.under(w.component_id, ids, w.contract_id)
        variables = await self._dump.under(e.component_id, ids, e.component_id) if self._secrets else {}
        records = []
        for row in rows:
            meta: dict[str, Any] = {"versions": [self._build(build) for build in builds.get(row.id, ())]}
            for sealed in variables.get(row.id, ()):
                meta["env"] = await self._dump.clear(t.component_env, sealed, "sealed_vars")
            whitelist = [entry.contract_id for entry in listed.get(row.id, ())]
            about = {"name": row.name, "access": row.access, "whitelisted_contract_ids": whitelist}
            records.append(
                {
                    "id": row.id,
                    "type": "component",
                    "attributes": {**row.attributes, **about},
                    "relationships": {"team": link("team", row.team_id)},
                    "meta": meta,
                }
            )
        return records

    def _build(self, build: "Row[Any]") -> dict[str, Any]:
        return {
            "id": build.revision,
            "attributes": {"version_number": build.number, "date": epoch_ms(build.created_at)},
            "descriptor": build.descriptor if self._secrets else public(build.descriptor),
        }

    async def _oauth_clients(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        records = []
        for row in rows:
            about = {}
            if self._secrets:
                for name in ("client_id", "client_secret"):
                    about[name] = await self._dump.clear(t.oauth_clients, row, f"sealed_{name}")
            relationships = {"tenant": link("tenant", row.tenant_id), "component": link("component", row.component_id)}
            meta = times(row, "created_at", "updated_at", "last_used_at")
            records.append(_record(row, "oauth-client", about, relationships, meta))
        return records

    async def _auth_clients(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        x = t.auth_client_components.c
        linked = await self._dump.under(x.auth_client_id, [row.id for row in rows], x.component_id)
        records = []
        for row in rows:
            about = {"name": row.name, "type": row.type, **await self._opened(t.auth_clients, row, "credentials")}
            components = [{"id": each.component_id, "type": "component"} for each in linked.get(row.id, ())]
            relationships: dict[str, Any] = {"components": {"data": components}}
            for scope, scope_id in (
                ("workspace", row.workspace_id),
                ("contract", row.contract_id),
                ("tenant", row.tenant_id),
            ):
                if scope_id:
                    relationships[scope] = link(scope, scope_id)
                    break
            meta = {"learned_lifetime": row.learned_lifetime, "rejection": row.rejection}
            meta |= times(row, "rejected_at", "probe_at", "created_at", "updated_at")
            records.append(_record(row, "auth-client", about, relationships, meta))
        return records

    async def _credentials(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        records = []
        for row in rows:
            about = {"name": row.name, **await self._opened(t.credentials, row, "keys")}
            relationships = {
                "workspace": link("workspace", row.workspace_id),
                "component": link("component", row.component_id),
                "user": link("user", row.user_id),
            }
            records.append(_record(row, "credential", about, relationships, times(row, "created_at", "updated_at")))
        return records

    async def _auth_secrets(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        records = []
        for row in rows:
            opened = await self._opened(t.auth_secrets, row, "credentials")
            if opened and row.expires_at is not None:
                opened["credentials"] = {**opened["credentials"], "expires_at": iso(row.expires_at)}
            about = {"name": row.name, "type": row.type, "state": row.state, "error": row.error}
            about |= {"error_code": row.error_code, **times(row, "error_at", "last_used_at"), **opened}
            if row.refreshed_at is not None:
                about["last_refreshed_at"] = iso(row.refreshed_at)
            relationships = {
                "workspace": link("workspace", row.workspace_id),
                "user": link("user", row.user_id),
                "auth_client": link("auth-client", row.auth_client_id),
            }
            meta = {"auth_method": row.auth_method, "failure": row.failure, "failure_count": row.failure_count}
            meta |= times(row, "issued_at", "ambiguous_since", "failed_at", "created_at", "updated_at")
            records.append(_record(row, "auth-secret", about, relationships, meta))
        return records

    async def _flows(self, rows: Sequence["Row[Any]"]) -> list[dict[str, Any]]:
        v = t.flow_versions.c
        stored = await self._dump.under(v.flow_id, [row.id for row in rows], v.number)
        records = []
        for row in rows:
            about = {**row.attributes, "name": row.name, "type": row.type, "status": row.status, "graph": row.graph}
            about |= times(row, "created_at", "updated_at", "last_start_time", "last_stop_time")
            versions = [
                {
                    "id": version.hash,
                    "attributes": {"graph": version.graph, "created_at": iso(version.created_at)},
                    "relationships": {"user": link("user", version.user_id)},
                }
                for version in stored.get(row.id, ())
            ]
            relationships = {
                "workspace": link("workspace", row.workspace_id),
                "user": link("user", row.user_id),
                "latest_version": link("flow-version", row.latest_version),
            }
            records.append(_record(row, "flow", about, relationships, {"draft": row.draft, "versions": versions}))
        return records

    async def _opened(self, table: Table, row: "Row[Any]", name: str) -> dict[str, Any]:
        return {name: await self._dump.clear(table, row, f"sealed_{name}")} if self._secrets else {}


def _record(row: "Row[Any]", kind: str, about: Any, relationships: Any, meta: Any) -> dict[str, Any]:
    return {"id": row.id, "type": kind, "attributes": about, "relationships": relationships, "meta": meta}
