"""What pages of the console list beside what `bench.lists_stored` has: clients, workspaces, members, happenings."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Table, delete, insert, select

from bench.lists_stored import Filled, vacuum
from keyrack.ids import new_id
from keyrack.settings import load_settings
from keyrack.store import schema as s
from keyrack.store.core.paging import search_key
from keyrack.store.core.search_words import INDEXED, add_words
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.users import UserRows
from keyrack.wiring.storage import open_store
from support.crowd import Home, analyze, crowd

PASSWORD = "correct horse battery staple"
_CHUNK = 2_000
_SEARCHED = (s.contracts, s.workspaces, s.users, s.credentials)
"""What lists search by the beginnings of words."""
Values = dict[str, Any]


async def fill_for_console(made: Filled, size: int) -> None:
    """Add rows, and let the first admin sign in and be in everything."""
    home, store = made.home, open_store(load_settings({**os.environ, **made.served.environment}))
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    try:
        await crowd(store, home, "workspaces", size)
        async with store.unit(home.tenant_id, writes=True) as unit:
            await UserRows(unit).set_password(home.user_id, hashed)
            components, users = [
                (await unit.connection.execute(select(t.c.id).where(t.c.tenant_id == home.tenant_id))).column()
                for t in (s.components, s.users)
            ]
        named: Mapping[Table, tuple[list[str], Callable[[Unit, Home, int, str], Awaitable[Values]]]] = {
            s.audit_events: (users, _event_of_audit),
            s.workspace_members: (users, _member),
            s.oauth_clients: (components, _oauth_client),
            s.auth_clients: (components, _auth_client),
            s.events: (components, _event),
        }
        for table, (ids, make) in named.items():
            for start in range(0, size, _CHUNK):
                async with store.unit(home.tenant_id, writes=True) as unit:
                    numbers = range(start, min(start + _CHUNK, size, len(ids)))
                    rows = [await make(unit, home, n, ids[n]) for n in numbers if ids[n] != home.user_id]
                    await unit.connection.execute(insert(table), rows)
        for table in _SEARCHED:
            await _make_searchable(store, home, table)
        await analyze(store)
    finally:
        await store.close()
    if made.served.environment.get("KEYRACK_DATABASE_URL"):
        await vacuum(made.served)


async def _make_searchable(store: Store, home: Home, table: Table) -> None:
    indexed = INDEXED[table]
    columns = [table.c[name] for name in {"id", "tenant_id", *indexed.names, *indexed.decides}]
    async with store.unit(home.tenant_id) as unit:
        found = await unit.connection.execute(select(*columns).where(table.c.tenant_id == home.tenant_id))
        rows = [row._asdict() for row in found.all()]
    for start in range(0, len(rows), _CHUNK):
        async with store.unit(home.tenant_id, writes=True) as unit:
            await unit.connection.execute(
                delete(s.search_words).where(
                    s.search_words.c.object_id.in_([row["id"] for row in rows[start : start + _CHUNK]])
                )
            )
            await add_words(unit.connection, table, rows[start : start + _CHUNK])


async def _event_of_audit(unit: Unit, home: Home, n: int, _: str) -> Values:
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "at": unit.clock(), "actor": f"crowd-{n % 1000}",
        "actor_kind": "user", "action": "auth-secret.get", "target_type": "auth-secret", "target_id": new_id(),
        "outcome": "allowed", "address": "192.0.2.1", "request_id": new_id(),
    }  # fmt: skip


async def _member(_: Unit, home: Home, n: int, user_id: str) -> Values:
    del n
    return {
        "tenant_id": home.tenant_id, "workspace_id": home.workspace_id, "user_id": user_id, "roles": ["integrator"],
    }  # fmt: skip


async def _oauth_client(unit: Unit, home: Home, n: int, component_id: str) -> Values:
    now, own = unit.clock(), new_id()
    return {
        "id": own, "tenant_id": home.tenant_id, "component_id": component_id,
        "sealed_client_id": await unit.seal(s.oauth_clients, own, "sealed_client_id", f"client-{n}"),
        "sealed_client_secret": await unit.seal(s.oauth_clients, own, "sealed_client_secret", "secret"),
        "created_at": now, "updated_at": now,
    }  # fmt: skip


async def _auth_client(unit: Unit, home: Home, n: int, component_id: str) -> Values:
    del component_id
    now, own, name = unit.clock(), new_id(), f"Client {n}"
    clear = {"client_id": "bench", "client_secret": "secret", "token_uri": "https://provider.example/token"}
    return {
        "id": own, "tenant_id": home.tenant_id, "name": name, "name_key": search_key(name), "type": "oauth2",
        "sealed_credentials": await unit.seal(s.auth_clients, own, "sealed_credentials", clear),
        "created_at": now, "updated_at": now,
    }  # fmt: skip


async def _event(unit: Unit, home: Home, n: int, _: str) -> Values:
    return {
        "id": new_id(), "tenant_id": home.tenant_id, "type": "webhook.test", "data": {"n": n},
        "created_at": unit.clock(),
    }  # fmt: skip
