"""Reads one auth secret as fast as the database allows, bound to the caller's tenant.

As through a unit of work, nothing is read without a tenant: every key names tenant, workspace and secret, the query
compares all three, so that a row of another tenant is never even sent, and the credentials are opened as that
tenant's. The statements are those of Core, compiled once and run on the raw driver: on PostgreSQL all secrets asked
for at the same time with one query (`store.core.coalesce`), on SQLite as point reads on the event loop, which take less
time than handing them to a thread would.
"""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ARRAY, String, and_, bindparam, exists, func, select

from keyrack.crypto.envelope import EncryptionContext
from keyrack.errors import KeyrackError
from keyrack.logs import log_fault
from keyrack.model.secrets import AuthSecret
from keyrack.settings import Settings
from keyrack.short_memory import ShortMemory
from keyrack.store.auth_secrets import SEALED, secret_of
from keyrack.store.core import dsn, engine
from keyrack.store.core.coalesce import Coalescer, ReadFailed
from keyrack.store.core.connecting import UNPREPARED, Connector
from keyrack.store.core.keyring import Keyring
from keyrack.store.core.statements import POSTGRESQL, SQLITE, CompiledStatement
from keyrack.store.schema import auth_secrets, data_keys
from keyrack.store.sealed_columns import named_key

_REST_SECONDS = 1.0
_KEY_IS_THERE = exists().where(data_keys.c.id == named_key(auth_secrets.c.sealed_credentials)).label("key_is_there")
"""Read with each row, so that what is in memory of a data key opens nothing once the key was destroyed."""


class SecretLocation(NamedTuple):
    """Where a secret is."""

    tenant_id: str
    workspace_id: str
    secret_id: str


Heard = Callable[[AuthSecret | None], None]
"""Takes a secret that was read; must not block."""


class SecretReader(Protocol):
    """Reads secrets by their place."""

    async def find(self, point: SecretLocation) -> AuthSecret | None:
        """Return a secret, or None: it is not there, or cannot be read this way now."""

    def ask(self, point: SecretLocation, heard: Heard) -> None:
        """Have somebody told what `find` returns, later; None also where it cannot be opened."""

    def version(self) -> int | None:
        """Return a number that changes with every commit to the database; None where there is no such number."""

    def open(self) -> None:
        """Begin; connects when needed."""

    async def close(self) -> None:
        """Let go of all connections."""


def secret_reader(settings: Settings, keyring: Keyring) -> SecretReader:
    """Return the fastest way to read secrets from the database in force.

    Raises:
        ConfigurationError: the database URL cannot be understood.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if isinstance(target, dsn.SqliteTarget):
        return SqliteSecretReader(target.path, keyring)
    connect = engine.connector(settings)
    assert connect is not None  # noqa: S101 - every database but SQLite can be connected to
    return PostgresSecretReader(connect, keyring)


class PostgresSecretReader:
    """Coalesced reads on raw connections of their own, at most two a process."""

    _ASKED = (
        func.unnest(*(bindparam(name, type_=ARRAY(String)) for name in ("tenant_ids", "workspace_ids", "ids")))
        .table_valued("tenant_id", "workspace_id", "id", name="asked")
        .render_derived()
    )
    _QUERY = POSTGRESQL.compile(
        select(*auth_secrets.c, _KEY_IS_THERE).join_from(
            _ASKED,
            auth_secrets,
            and_(
                auth_secrets.c.id == _ASKED.c.id,
                auth_secrets.c.tenant_id == _ASKED.c.tenant_id,
                auth_secrets.c.workspace_id == _ASKED.c.workspace_id,
            ),
        )
    )

    def __init__(self, connect: Connector, keyring: Keyring, timer: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._opener = _Opener(keyring, self._QUERY)
        self._timer = timer
        self._idle: list[tuple[Any, Any]] = []
        self._rests_until = float("-inf")
        self._reads: Coalescer[SecretLocation, Any] | None = None

    def open(self) -> None:
        """Begin; connects when needed."""
        self._reads = Coalescer(self._fetch)

    async def close(self) -> None:
        """Let go of all connections."""
        self._opener.forget()
        if self._reads is not None:
            reads, self._reads = self._reads, None
            await reads.close()
        while self._idle:
            connection, _ = self._idle.pop()
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    def version(self) -> int | None:
        """Return None: PostgreSQL tells in another way."""
        return None

    async def find(self, point: SecretLocation) -> AuthSecret | None:
        """Return a secret, or None: it is not there, or cannot be read this way now."""
        if self._reads is None or self._timer() < self._rests_until:
            return None
        try:
            row = await self._reads.get(point)
        except ReadFailed:
            return None
        return None if row is None else self._opener.open(point, row)

    def ask(self, point: SecretLocation, heard: Heard) -> None:
        """Have somebody told what `find` returns, later; None also where it cannot be opened."""
        if self._reads is None or self._timer() < self._rests_until:
            asyncio.get_running_loop().call_soon(heard, None)
        else:
            self._reads.ask(point, lambda row, _failed: heard(self._opener.open_or_none(point, row)))

    async def _fetch(self, points: Sequence[SecretLocation]) -> Mapping[SecretLocation, Any]:
        try:
            connection, statement = self._idle.pop() if self._idle else await self._connected()
        except BaseException:
            self._rests_until = self._timer() + _REST_SECONDS
            raise
        given = tuple(zip(*points, strict=True))
        try:
            if statement is not None:
                rows = await statement.fetch(*given)
            else:  # both messages, what to prepare and what to run, must reach the same connection of the server
                async with connection.transaction():
                    rows = await connection.fetch(self._QUERY.text, *given)
        except BaseException as error:
            connection.terminate()  # whatever was under way on it must not meet the next question
            if isinstance(error, UNPREPARED):
                self._connect.lost_statement()
            raise
        self._idle.append((connection, statement))
        return {SecretLocation(row["tenant_id"], row["workspace_id"], row["id"]): row for row in rows}

    async def _connected(self) -> tuple[Any, Any]:
        connection = await self._connect()
        try:
            return connection, await connection.prepare(self._QUERY.text) if self._connect.prepares else None
        except BaseException:
            connection.terminate()
            raise


class SqliteSecretReader:
    """Point reads on the event loop, over a connection that can only read."""

    _QUERY = SQLITE.compile(
        select(*auth_secrets.c, _KEY_IS_THERE).where(
            auth_secrets.c.tenant_id == bindparam("tenant_id"),
            auth_secrets.c.workspace_id == bindparam("workspace_id"),
            auth_secrets.c.id == bindparam("id"),
        )
    )

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self._path = path
        self._opener = _Opener(keyring, self._QUERY)
        self._is_open = False
        self._connection: sqlite3.Connection | None = None
        self._waiting: dict[SecretLocation, list[Heard]] = {}
        self._version: int | None = None

    def open(self) -> None:
        """Begin; connects when needed."""
        self._is_open = True

    async def close(self) -> None:
        """Let go of the connection."""
        self._is_open = False
        self._opener.forget()
        self._give_up()

    def version(self) -> int | None:
        """Return a number that changes with every commit to the file by anybody else, in whichever process.

        It is asked for once in a turn of the event loop.
        """
        if self._version is None:
            rows = self._asked("PRAGMA data_version", ())
            if rows:
                asyncio.get_running_loop().call_soon(self._next_turn)
                self._version = rows[0][0]
        return self._version

    def _next_turn(self) -> None:
        self._version = None

    async def find(self, point: SecretLocation) -> AuthSecret | None:
        """Return a secret, or None: it is not there, or cannot be read this way now."""
        row = self._row(point)
        return None if row is None else self._opener.open(point, row)

    def ask(self, point: SecretLocation, heard: Heard) -> None:
        """Have somebody told what `find` returns, later; None also where it cannot be opened."""
        if not self._waiting:
            # who was received in the same turn of the event loop is told what one query found
            asyncio.get_running_loop().call_soon(self._tell)
        self._waiting.setdefault(point, []).append(heard)

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for point, readers in waiting.items():
            secret = self._opener.open_or_none(point, self._row(point))
            for heard in readers:
                try:
                    heard(secret)
                except Exception as fault:  # noqa: BLE001 - one reader's must not keep the others from being told
                    log_fault(fault)

    def _row(self, point: SecretLocation) -> Any | None:
        rows = self._asked(self._QUERY.text, point)
        return rows[0] if rows else None

    def _asked(self, text: str, values: Sequence[str]) -> list[Any]:
        if not self._is_open:
            return []
        try:
            if self._connection is None:
                address = f"{self._path.resolve().as_uri()}?mode=ro"
                # no waiting for locks: it would stop the event loop; who finds one asks in the usual way
                self._connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)
            return self._connection.execute(text, values).fetchall()
        except sqlite3.Error:
            self._give_up()
            return []

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Opener:
    """Opens rows; within a second, none again that the database returns unchanged.

    What was opened is never answered by itself: only for a row that was read just now, and is the same.
    """

    def __init__(self, keyring: Keyring, query: CompiledStatement) -> None:
        self._keyring = keyring
        self._query = query
        self._opened: ShortMemory[SecretLocation, tuple[Any, AuthSecret]] = ShortMemory()

    def open(self, point: SecretLocation, row: Any) -> AuthSecret | None:
        """Return what is in a row that was read at a place; None: the data key must be fetched first, or is gone.

        Raises:
            WrongKey, DecryptionFailed: it cannot be opened there.
        """
        known = self._opened.get(point)
        if known is not None and known[0] == row:
            return known[1]
        values = self._query.read(row)
        if not values.key_is_there:
            return None
        place = EncryptionContext(point.tenant_id, auth_secrets.name, point.secret_id, SEALED)
        try:
            clear = self._keyring.open_known(place, values.sealed_credentials)
        except KeyError:  # the usual way gets the tenant's data key, and next time it is there
            return None
        secret = secret_of(values, json.loads(clear))
        self._opened.keep(point, (row, secret))
        return secret

    def open_or_none(self, point: SecretLocation, row: Any) -> AuthSecret | None:
        """Return the same; None where there is no row, or it cannot be opened, for which the usual way says why."""
        if row is None:
            return None
        try:
            return self.open(point, row)
        except KeyrackError:
            return None

    def forget(self) -> None:
        """Forget what was opened."""
        self._opened.forget()
