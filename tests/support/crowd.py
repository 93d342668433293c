"""Thousands of rows of one kind, put into a database without going over the API; what is sealed can be opened."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, insert, text

from keyrack.ids import new_id, new_revision
from keyrack.store import schema as t
from keyrack.store.core.paging import search_key
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit

_CHUNK = 2_000
RARE = 20
"""How many of the rows, however many there are, a filter or a search finds."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """What the rows belong to."""

    tenant_id: str
    contract_id: str
    workspace_id: str
    user_id: str
    team_id: str
    auth_client_id: str
    other_user_id: str
    """Who rare rows belong to."""


async def crowd(store: Store, home: Home, kind: str, count: int) -> None:
    """Add rows of a kind, one of `KINDS`."""
    table, make = KINDS[kind]
    for start in range(0, count, _CHUNK):
        async with store.unit(home.tenant_id, writes=True) as unit:
            numbers = range(start, min(start + _CHUNK, count))
            rows = [await make(unit, home, n, n % max(1, count // RARE) == 0) for n in numbers]
            await unit.connection.execute(insert(table), rows)
            if kind == "components":
                await unit.connection.execute(insert(t.component_versions), [_build(unit, row) for row in rows])


async def analyze(store: Store) -> None:
    """Let the database know how many rows there are."""
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(text("ANALYZE"))


async def _flow(unit: Unit, home: Home, n: int, rare: bool) -> Values:
    at = unit.clock() - timedelta(seconds=n)
    name, description = f"Synchronise contacts {n * 7919 % 100_003}", "Needle" if rare else "Keeps two systems equal"
    node = {"id": "step_1", "component_id": new_id(), "command": "team/component:run", "fields": {"text": "x" * 200}}
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "workspace_id": home.workspace_id,
        "user_id": home.other_user_id if rare else home.user_id, "name": name, "name_key": search_key(name),
        "description": description, "description_key": search_key(description),
        "type": "long_running" if rare else "ordinary", "status": "active" if rare else "inactive",
        "current_status": "inactive", "graph": {"nodes": [node], "edges": []},
        "attributes": {"description": description}, "draft": {"nodes": []} if rare else None,
        "latest_version": new_revision(), "created_at": at, "updated_at": at, "last_start_time": None,
        "last_stop_time": None,
    }  # fmt: skip


async def _secret(unit: Unit, home: Home, n: int, rare: bool) -> Values:
    now, secret_id = unit.clock(), new_id()
    clear = {"access_token": "a" * 320, "refresh_token": "r" * 120, "expires_in": 3600, "undefined_params": {}}
    return {
        "id": secret_id, "tenant_id": home.tenant_id, "workspace_id": home.workspace_id,
        "user_id": home.other_user_id if rare else home.user_id, "auth_client_id": home.auth_client_id,
        "name": f"Secret {n}", "name_key": f"secret {n}", "type": "oauth2",
        "sealed_credentials": await unit.seal(t.auth_secrets, secret_id, "sealed_credentials", clear),
        "auth_method": None, "refreshable": True, "state": "ready", "error": None, "error_code": None,
        "error_at": None, "issued_at": now, "expires_at": now + timedelta(days=1), "generation": 1,
        "due_at": now + timedelta(days=1), "retry_at": None, "refreshed_at": None, "ambiguous_since": None,
        "failure": None, "failure_count": 0, "failed_at": None, "lease_owner": None, "lease_until": None, "fence": 0,
        "last_used_at": None, "created_at": now, "updated_at": now,
    }  # fmt: skip


async def _credential(unit: Unit, home: Home, n: int, rare: bool) -> Values:
    now, credential_id = unit.clock(), new_id()
    keys = {"oauth": {"access_token": "a" * 320, "refresh_token": "r" * 120}}
    return {
        "id": credential_id, "tenant_id": home.tenant_id, "workspace_id": home.workspace_id,
        "component_id": RARE_COMPONENT if rare else new_id(), "user_id": home.user_id,
        "name": f"Credential {n}", "sealed_keys": await unit.seal(t.credentials, credential_id, "sealed_keys", keys),
        "created_at": now, "updated_at": now,
    }  # fmt: skip


async def _component(_: Unit, home: Home, n: int, rare: bool) -> Values:
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "contract_id": home.contract_id, "team_id": home.team_id,
        "name": f"crowd-{n}", "access": "tenant" if rare else "team", "attributes": {},
        "latest_revision": new_revision(), "latest_number": 1, "uses_oauth_client": False,
    }  # fmt: skip


def _build(unit: Unit, component: Values) -> Values:
    descriptor = {"title": component["name"], "actions": {"run": {"title": "Run", "main": "./run.js"}}}
    return {
        "component_id": component["id"], "revision": component["latest_revision"],
        "tenant_id": component["tenant_id"], "number": 1, "descriptor": descriptor, "created_at": unit.clock(),
    }  # fmt: skip


async def _user(unit: Unit, home: Home, n: int, rare: bool) -> Values:
    email = f"crowd-{n}@{home.tenant_id}.example"
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "email": email, "email_key": email, "first_name": "Some",
        "last_name": f"Body {n}", "company": "Rare" if rare else None, "password_hash": None, "tenant_roles": [],
        "registered": unit.clock(), "last_login": None,
    }  # fmt: skip


async def _contract(_: Unit, home: Home, n: int, rare: bool) -> Values:
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "name": f"Contract {n}",
        "status": "suspended" if rare else "active", "available_roles": [], "attributes": {}, "custom_data": None,
    }  # fmt: skip


async def _workspace(_: Unit, home: Home, n: int, rare: bool) -> Values:
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "contract_id": home.contract_id, "name": f"Workspace {n}",
        "type": "limited" if rare else "full", "attributes": {},
    }  # fmt: skip


RARE_COMPONENT = "c" * 24
KINDS: Mapping[str, tuple[Table, Callable[[Unit, Home, int, bool], Awaitable[Values]]]] = {
    "flows": (t.flows, _flow),
    "secrets": (t.auth_secrets, _secret),
    "credentials": (t.credentials, _credential),
    "components": (t.components, _component),
    "users": (t.users, _user),
    "contracts": (t.contracts, _contract),
    "workspaces": (t.workspaces, _workspace),
}
