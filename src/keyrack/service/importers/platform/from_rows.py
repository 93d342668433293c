"""Turns stored rows into records of an export: for each section the inverse of its kind (`kinds`)."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table

from keyrack.clock import epoch_ms, iso
from keyrack.descriptor.public import public
from keyrack.model import Json
from keyrack.store import schema as t
from keyrack.store.dump import Dump

Rows = Sequence["Row[Any]"]
Made = Callable[[Rows], Awaitable[list[Json]]]
"""Makes the records of some rows, in their order."""


class Records:
    """Makes records of rows.

    Args:
        dump: where the rows are from, and what belongs to them.
        secrets: whether secret values go into them.
    """

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

    async def _tenants(self, rows: Rows) -> list[Json]:
        roles = await self._under(t.roles.c.tenant_id, rows, t.roles.c.position)
        themes = await self._under(t.connect_themes.c.tenant_id, rows, t.connect_themes.c.tenant_id)
        records = []
        for row in rows:
            about = {**row.attributes, "name": row.name, "app_domain": row.app_domain}
            policy = [
                {"scope": role.scope, "role": role.role, "permissions": role.permissions, "i18n": role.i18n}
                for role in roles.get(row.id, ())
            ]
            meta: Json = {"created_at": iso(row.created_at), "roles": policy}
            if row.id in themes:
                meta["connect_theme"] = _connect_theme(themes[row.id][0])
            records.append(_record(row, "tenant", about, meta=meta))
        return records

    async def _users(self, rows: Rows) -> list[Json]:
        keys = await self._under(t.api_keys.c.user_id, rows, t.api_keys.c.id)
        records = []
        for row in rows:
            about = {"email": row.email, "first_name": row.first_name, "last_name": row.last_name}
            about |= {"company": row.company, **_times(row, "registered", "last_login")}
            meta = {"tenant_roles": row.tenant_roles, **_times(row, "set_up_at")}
            meta |= self._sign_in(row, keys.get(row.id, ()))
            records.append(_record(row, "user", about, {"tenant": _link("tenant", row.tenant_id)}, meta))
        return records

    def _sign_in(self, row: "Row[Any]", keys: Rows) -> Json:
        if not self._secrets:
            return {}
        listed = [
            {"id": key.id, "name": key.name, "key_hash": key.key_hash, **_times(key, "created_at", "expires_at")}
            for key in keys
        ]
        return {"password_hash": row.password_hash, "api_keys": listed}

    async def _members(self, column: Any, rows: Rows) -> Mapping[str, list[Json]]:
        found = await self._under(column, rows, column.table.c.user_id)
        return {
            parent: [{"id": member.user_id, "attributes": {"roles": member.roles}} for member in members]
            for parent, members in found.items()
        }

    async def _contracts(self, rows: Rows) -> list[Json]:
        members = await self._members(t.contract_members.c.contract_id, rows)
        records = []
        for row in rows:
            roles = [{"scope": scope, "role": role} for scope, role in row.available_roles]
            about = {**row.attributes, "name": row.name, "status": row.status, "available_roles": roles}
            about["custom_data"] = row.custom_data
            relationships = {"tenant": _link("tenant", row.tenant_id)}
            records.append(_record(row, "contract", about, relationships, {"members": members.get(row.id, [])}))
        return records

    async def _workspaces(self, rows: Rows) -> list[Json]:
        members = await self._members(t.workspace_members.c.workspace_id, rows)
        records = []
        for row in rows:
            about = {**row.attributes, "name": row.name, "type": row.type}
            relationships = {"contract": _link("contract", row.contract_id)}
            records.append(_record(row, "workspace", about, relationships, {"members": members.get(row.id, [])}))
        return records

    async def _teams(self, rows: Rows) -> list[Json]:
        users = await self._under(t.team_members.c.team_id, rows, t.team_members.c.user_id)
        records = []
        for row in rows:
            relationships = {
                "contract": _link("contract", row.contract_id),
                "users": _links("user", (user.user_id for user in users.get(row.id, ()))),
            }
            records.append(_record(row, "team", {"name": row.name}, relationships))
        return records

    async def _components(self, rows: Rows) -> list[Json]:
        v, w, e = t.component_versions.c, t.component_whitelists.c, t.component_env.c
        builds = await self._under(v.component_id, rows, v.number)
        listed = await self._under(w.component_id, rows, w.contract_id)
        variables = await self._under(e.component_id, rows, e.component_id) if self._secrets else {}
        records = []
        for row in rows:
            whitelist = [entry.contract_id for entry in listed.get(row.id, ())]
            about = {**row.attributes, "name": row.name, "access": row.access, "whitelisted_contract_ids": whitelist}
            meta: Json = {"versions": [self._build(build) for build in builds.get(row.id, ())]}
            for sealed in variables.get(row.id, ()):
                meta["env"] = await self._dump.clear(t.component_env, sealed, "sealed_vars")
            records.append(_record(row, "component", about, {"team": _link("team", row.team_id)}, meta))
        return records

    def _build(self, build: "Row[Any]") -> Json:
        return {
            "id": build.revision,
            "attributes": {"version_number": build.number, "date": epoch_ms(build.created_at)},
            "descriptor": build.descriptor if self._secrets else public(build.descriptor),
        }

    async def _oauth_clients(self, rows: Rows) -> list[Json]:
        records = []
        for row in rows:
            opened = await self._opened(t.oauth_clients, row, "client_id", "client_secret")
            about = {**opened, "client_auth": row.client_auth, **_times(row, "secret_expires_at")}
            relationships = {
                "tenant": _link("tenant", row.tenant_id),
                "component": _link("component", row.component_id),
            }
            meta = _times(row, "created_at", "updated_at", "last_used_at")
            records.append(_record(row, "oauth-client", about, relationships, meta))
        return records

    async def _auth_clients(self, rows: Rows) -> list[Json]:
        x = t.auth_client_components.c
        linked = await self._under(x.auth_client_id, rows, x.component_id)
        records = []
        for row in rows:
            about = {"name": row.name, "type": row.type, **_times(row, "secret_expires_at")}
            about |= await self._opened(t.auth_clients, row, "credentials")
            components = _links("component", (each.component_id for each in linked.get(row.id, ())))
            relationships = {"components": components, **_scope(row)}
            meta = {"learned_lifetime": row.learned_lifetime, "rejection": row.rejection}
            meta |= _times(row, "learned_at", "rejected_at", "probe_at", "created_at", "updated_at")
            records.append(_record(row, "auth-client", about, relationships, meta))
        return records

    async def _credentials(self, rows: Rows) -> list[Json]:
        records = []
        for row in rows:
            about = {"name": row.name, **_account(row), **await self._opened(t.credentials, row, "keys")}
            relationships = {
                "workspace": _link("workspace", row.workspace_id),
                "component": _link("component", row.component_id),
                "user": _link("user", row.user_id),
            }
            records.append(_record(row, "credential", about, relationships, _times(row, "created_at", "updated_at")))
        return records

    async def _auth_secrets(self, rows: Rows) -> list[Json]:
        records = []
        for row in rows:
            opened = await self._opened(t.auth_secrets, row, "credentials")
            if opened and row.expires_at is not None:
                opened["credentials"] = {**opened["credentials"], "expires_at": iso(row.expires_at)}
            about = {"name": row.name, "type": row.type, "state": row.state, "error": row.error}
            about |= {"error_code": row.error_code, **_times(row, "error_at", "last_used_at"), **opened}
            scopes = {name: getattr(row, name) for name in ("requested_scopes", "missing_scopes")}
            about |= {name: value for name, value in scopes.items() if value} | _account(row)
            if row.refreshed_at is not None:
                about["last_refreshed_at"] = iso(row.refreshed_at)
            relationships = {
                "workspace": _link("workspace", row.workspace_id),
                "user": _link("user", row.user_id),
                "auth_client": _link("auth-client", row.auth_client_id),
            }
            meta = {"auth_method": row.auth_method, "failure": row.failure, "failure_count": row.failure_count}
            addresses = {name: getattr(row, name) for name in ("userinfo_uri", "redirect_uri")}
            meta |= {name: uri for name, uri in addresses.items() if uri is not None}
            if row.sealed_dpop_key is not None:
                meta |= await self._opened(t.auth_secrets, row, "dpop_key")
            meta |= {"stated_lifetime": row.stated_lifetime, "lifetime_guessed": row.lifetime_guessed}
            meta |= {"awaits_cutover": True} if row.cutover_batch_id is not None else {}
            meta |= _times(row, "issued_at", "connected_at", "ambiguous_since", "failed_at", "created_at", "updated_at")
            meta |= _times(row, "refresh_token_expires_at", "grant_expires_at")
            records.append(_record(row, "auth-secret", about, relationships, meta))
        return records

    async def _flows(self, rows: Rows) -> list[Json]:
        v = t.flow_versions.c
        stored = await self._under(v.flow_id, rows, v.number)
        records = []
        for row in rows:
            about = {**row.attributes, "name": row.name, "type": row.type, "status": row.status, "graph": row.graph}
            about |= _times(row, "created_at", "updated_at", "last_start_time", "last_stop_time")
            versions = [
                {
                    "id": version.hash,
                    "attributes": {"graph": version.graph, "created_at": iso(version.created_at)},
                    "relationships": {"user": _link("user", version.user_id)},
                }
                for version in stored.get(row.id, ())
            ]
            relationships = {
                "workspace": _link("workspace", row.workspace_id),
                "user": _link("user", row.user_id),
                "latest_version": _link("flow-version", row.latest_version),
            }
            records.append(_record(row, "flow", about, relationships, {"draft": row.draft, "versions": versions}))
        return records

    async def _under(self, parent: Any, rows: Rows, order: Any) -> Mapping[str, Rows]:
        return await self._dump.under(parent, [row.id for row in rows], order)

    async def _opened(self, table: Table, row: "Row[Any]", *names: str) -> Json:
        """Return those secret values in clear, if they go into the file."""
        return {name: await self._dump.clear(table, row, f"sealed_{name}") for name in names} if self._secrets else {}


def _record(
    row: "Row[Any]", kind: str, about: Json, relationships: Json | None = None, meta: Json | None = None
) -> Json:
    record = {"id": row.id, "type": kind, "attributes": about}
    if relationships is not None:
        record["relationships"] = relationships
    if meta is not None:
        record["meta"] = meta
    return record


def _scope(row: "Row[Any]") -> Json:
    """Return the linkage to an auth client's scope, the narrowest that it names; a global one names none."""
    for scope in ("workspace", "contract", "tenant"):
        scope_id = getattr(row, f"{scope}_id")
        if scope_id:
            return {scope: _link(scope, scope_id)}
    return {}


def _link(kind: str, resource_id: str) -> Json:
    return {"data": {"id": resource_id, "type": kind}}


def _links(kind: str, ids: Iterable[str]) -> Json:
    return {"data": [{"id": resource_id, "type": kind} for resource_id in ids]}


def _account(row: "Row[Any]") -> Json:
    """Return whose account at the provider a row is, as far as it is known."""
    named = {name: getattr(row, name) for name in ("account_label", "account_subject")}
    return {name: text for name, text in named.items() if text is not None}


def _times(row: "Row[Any]", *names: str) -> Json:
    """Return those times of a row that are set."""
    moments: dict[str, datetime | None] = {name: getattr(row, name) for name in names}
    return {name: iso(moment) for name, moment in moments.items() if moment is not None}


def _connect_theme(row: "Row[Any]") -> Json:
    return {
        "display_name": row.display_name,
        "accent_color": row.accent_color,
        "show_keyrack": row.shows_keyrack,
        "return_origins": row.return_origins,
        "logo_data": None if row.logo is None else b64encode(row.logo).decode(),
    }
