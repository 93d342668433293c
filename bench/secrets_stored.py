"""Databases with many auth secrets, put there without going over the API."""

import asyncio
import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from bench.stage import SQLITE, Stage
from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.settings import Settings, load_settings
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_secrets
from keyrack.wiring.storage import open_store
from support.keyrack_processes import command, settings

_CHUNK = 20_000
_SQLITE_SERIES = "WITH RECURSIVE s(n) AS (SELECT :least UNION ALL SELECT n + 1 FROM s WHERE n < :most) SELECT n FROM s"
_COPIED = [c.name for c in auth_secrets.c if c.name not in {"id", "due_at"}]


@dataclass(frozen=True, slots=True)
class Stored:
    """A set-up database.

    Attributes:
        environment: the settings of processes on it.
        first: what `keyrack bootstrap --json` printed; of a tenant that was added later, the same members.
    """

    environment: Mapping[str, str]
    first: Mapping[str, Any]

    @property
    def authorization(self) -> str:
        """What the tenant's first admin signs in with: the value of a header."""
        admin = self.first["admin"]
        return "Basic " + base64.b64encode(f"{admin['email']}:{admin['api_key']}".encode()).decode()

    @property
    def settings(self) -> Settings:
        """The same, for this process."""
        return load_settings({**os.environ, **self.environment})


def set_up(stage: Stage, database: str, name: str, **more: str) -> Stored:
    """Bootstrap an empty database of its own."""
    url = {} if database == SQLITE else {"database_url": stage.postgres_url()}
    given = settings(stage.folder / f"{database}-{name}", allow_insecure_providers="true", **url, **more)
    return Stored(given, command(given, "bootstrap", "--email", "root@root.example"))


@contextmanager
def opened(stored: Stored) -> Iterator[tuple[asyncio.Runner, Store]]:
    """Open the store of a database on an event loop of its own."""
    with asyncio.Runner() as runner:
        store = open_store(stored.settings)
        try:
            yield runner, store
        finally:
            runner.run(store.close())


async def add_client(store: Store, stored: Stored, token_endpoint: str) -> AuthClient:
    """Store an auth client of the first tenant."""
    credentials = {
        "client_id": "bench",
        "client_secret": "bench-secret",
        "auth_uri": token_endpoint,
        "token_uri": token_endpoint,
        "refresh_token_uri": token_endpoint,
    }
    tenant_id = stored.first["tenant_id"]
    client = AuthClient(new_id(), tenant_id, None, None, "Bench", "oauth2", credentials)
    async with store.unit(tenant_id, writes=True) as unit:
        await AuthClientRows(unit).add(client, token_endpoint)
    return client


async def add_due(store: Store, stored: Stored, client: AuthClient, count: int) -> None:
    """Store secrets that are due now, their tokens still valid."""
    await add_secrets(store, stored, client, [datetime.now(UTC) - timedelta(seconds=1)] * count)


async def add_secrets(
    store: Store, stored: Stored, client: AuthClient, due: Sequence[datetime | None], *, age: int = 0
) -> list[str]:
    """Store secrets whose tokens live an hour; return their ids.

    Args:
        store: where.
        stored: whose they are.
        client: the auth client behind them.
        due: when each is refreshed in the background; None: when its token needs it.
        age: seconds since the tokens were issued.
    """
    now = datetime.now(UTC)
    issued = now - timedelta(seconds=age)
    empty = AuthSecret(
        id="", tenant_id=client.tenant_id, workspace_id=stored.first["workspace_id"],
        user_id=stored.first["admin"]["user_id"], auth_client_id=client.id, name="Measured", type="oauth2",
        credentials={}, auth_method=None, refreshable=True, state=SecretState.ready, error=None, error_code=None,
        error_at=None, issued_at=None, expires_at=None, generation=0, due_at=None, retry_at=None, refreshed_at=None,
        ambiguous_since=None, failure=None, failure_count=0, failed_at=None, last_used_at=None, created_at=now,
        updated_at=now,
    )  # fmt: skip
    tokens = {"access_token": "a" * 320, "refresh_token": "r" * 120, "expires_in": 3600, "undefined_params": {}}
    made = []
    async with store.unit(client.tenant_id, writes=True) as unit:
        for moment in due:
            secret = with_tokens(replace(empty, id=new_id()), client, tokens, Schedule(), issued)
            await AuthSecrets(unit).add(secret if moment is None else replace(secret, due_at=moment))
            made.append(secret.id)
    return made


async def multiply(store: Store, stored: Stored, count: int, workspace_id: str | None = None) -> None:
    """Copy one stored secret until there are `count` more, due over the next day. The copies cannot be opened.

    Args:
        store: where.
        stored: whose they are.
        count: how many.
        workspace_id: where they belong; None: where the one that is copied does.
    """
    columns = ", ".join(_COPIED)
    values = columns if workspace_id is None else columns.replace("workspace_id", "CAST(:workspace_id AS VARCHAR)")
    tomorrow = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1000)
    more = {} if workspace_id is None else {"workspace_id": workspace_id}
    for start in range(0, count, _CHUNK):
        async with store.unit(stored.first["tenant_id"], writes=True) as unit:
            numbers, hexadecimal = series(unit)
            await unit.connection.execute(
                text(
                    f"INSERT INTO auth_secrets (id, due_at, {columns})"
                    f" SELECT 'f' || {hexadecimal}, CAST(:tomorrow AS BIGINT) + n % 86400000, {values}"
                    f" FROM {numbers}, (SELECT * FROM auth_secrets LIMIT 1) AS made"
                ),
                {"least": start, "most": min(start + _CHUNK, count) - 1, "tomorrow": tomorrow, **more},
            )
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(text("ANALYZE"))


def series(unit: Unit) -> tuple[str, str]:
    """Return SQL for the numbers `n` from `:least` to `:most`, and for one of them in 23 hexadecimal digits."""
    if unit.connection.dialect.name == "postgresql":
        return "generate_series(CAST(:least AS BIGINT), CAST(:most AS BIGINT)) AS s(n)", "lpad(to_hex(n), 23, '0')"
    return f"({_SQLITE_SERIES}) AS s", "printf('%023x', n)"
