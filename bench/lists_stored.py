"""Served installations with many rows of everything that is listed."""

import asyncio
import os
from dataclasses import dataclass
from functools import cache

import httpx2
from sqlalchemy import text

from bench.stage import SQLITE, Stage
from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.settings import load_settings
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core import engine
from keyrack.store.users import UserRows
from keyrack.wiring.storage import open_store
from support.crowd import Home, analyze, crowd
from support.keyrack_processes import Installation, installation

KINDS = ("flows", "secrets", "credentials", "components", "users", "contracts")
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Filled:
    """A served installation that is filled.

    Attributes:
        served: the installation.
        home: what the rows belong to; the first admin sees them all.
        http: speaks to it as the first admin.
    """

    served: Installation
    home: Home
    http: httpx2.Client


@cache
def filled(stage: Stage, database: str, size: int) -> Filled:
    """Serve an installation with `size` rows of each kind; the same one for every scenario of a run."""
    stage.say(f"{database}: storing {size:,} rows of each of {', '.join(KINDS)}")
    more = {} if database == SQLITE else {"database_url": stage.postgres_url()}
    served = stage.keep(installation(stage.folder / f"{database}-lists-{size}", workers=1, **more))
    home = asyncio.run(_fill(served, size))
    first = served.first["admin"]
    auth = httpx2.BasicAuth(first["email"], first["api_key"])
    return Filled(served, home, stage.keep(httpx2.Client(base_url=served.base, auth=auth, timeout=_SECONDS)))


async def vacuum(served: Installation) -> None:
    """Do at once what PostgreSQL does by itself within minutes, without which counting looks at every row."""
    database = engine.create_engine(load_settings({**os.environ, **served.environment}))
    try:
        async with database.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE"))
    finally:
        await database.dispose()


async def _fill(served: Installation, size: int) -> Home:
    first = served.first
    store = open_store(load_settings({**os.environ, **served.environment}))
    try:
        client = AuthClient(new_id(), first["tenant_id"], None, None, "Bench", "oauth2", {"client_id": "bench"}, ())
        async with store.unit(first["tenant_id"], writes=True) as unit:
            await AuthClientRows(unit).add(client, None)
            other = await UserRows(unit).add("other@bench.example", "Other", "User")
        home = Home(
            tenant_id=first["tenant_id"],
            contract_id=first["contract_id"],
            workspace_id=first["workspace_id"],
            user_id=first["admin"]["user_id"],
            team_id=first["team_id"],
            auth_client_id=client.id,
            other_user_id=other.id,
        )
        for kind in KINDS:
            await crowd(store, home, kind, size)
        await analyze(store)
    finally:
        await store.close()
    if served.environment.get("KEYRACK_DATABASE_URL"):
        await vacuum(served)
    return home
