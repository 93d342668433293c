"""Connects to PostgreSQL: to the server that takes writes, of all that a URL names.

A server that is down, gives no answer or is a standby costs no more than a moment, as the next one is asked beside it;
the one that was found last is asked first. So whoever connects finds a standby that was promoted as soon as it is.
"""

import asyncio
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import asyncpg
import structlog

from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.store.core.connection_faults import connection_fault
from keyrack.store.core.dsn import PostgresTarget

log = structlog.get_logger()

_CONNECT_SECONDS = 10.0
_STATEMENT_SECONDS = 30.0
_HEAD_START_SECONDS = 0.5
"""How long a server has to answer before the next one is asked too."""
_WRITING = ("read-write", "primary")
_OPTIONS = {
    "keepalives": (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    "keepalives_idle": (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    "keepalives_interval": (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    "keepalives_count": (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
    "tcp_user_timeout": (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
}
UNPREPARED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What is said where a statement was prepared on another connection, as behind a pooler that parts its own at will."""


class NamedApart(asyncpg.Connection):  # type: ignore[misc] # the driver has no types
    """A connection whose prepared statements have names that no other connection's have.

    The driver counts them in each process. Behind a pooler that hands connections of the server around, a name would
    stand for another process's statement, which would be run in its place; so it is unknown there, and refused.

    Attributes:
        prepares: whether its statements stay prepared, from one transaction to the next.
    """

    prepares = True

    def _get_unique_id(self, prefix: str) -> str:
        return f"__asyncpg_{prefix}_{secrets.token_hex(8)}__"


class Unprepared(NamedApart):
    """A connection that prepares nothing for later: each statement in its transaction, under no name."""

    prepares = False


class Connector:
    """Makes connections to one database.

    Args:
        target: its servers.
        setting: the setting that names them, for the operator.
        prepares: whether statements stay prepared on a connection, from one transaction to the next.

    Attributes:
        prepares: the same; no more, once it turned out that they do not.
    """

    def __init__(self, target: PostgresTarget, setting: str = "KEYRACK_DATABASE_URL", *, prepares: bool = True) -> None:
        self.prepares = prepares
        self._target = target
        self._setting = setting
        self._options = {"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS} | target.options
        self._servers = list(target.servers)
        self._wanted = target.asks_for

    async def __call__(self, **_: object) -> Any:
        """Return a new connection of the driver's.

        Raises:
            DatabaseUnavailable: there is none to be had.
            ConfigurationError: the driver cannot make use of the URL.
        """
        try:
            raw = await self._connected()
        except ValueError:  # the driver's configuration errors are one; their text may hold a password
            raise ConfigurationError(
                f"{self._setting} cannot be used: a parameter, a service or a file that it names is wrong or missing"
            ) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise DatabaseUnavailable(cause=connection_fault(self._target, error, self._setting)) from error
        _probe(raw, self._target.probes)
        return raw

    def lost_statement(self) -> None:
        """Note that a prepared statement was not there any more: from now on, nothing is prepared for later."""
        if self.prepares:
            self.prepares = False
            log.warning(
                "prepared statements do not last: there is a pooler in front of the database that gives each"
                " transaction another connection. From now on each unit of work is a transaction, and nothing is"
                " prepared for later. Set KEYRACK_DATABASE_PREPARED_STATEMENTS=false to begin like that; better, let"
                " the pooler keep them (PgBouncer 1.21 or newer: max_prepared_statements)",
                setting=self._setting,
            )

    async def _connected(self) -> Any:
        if not self._servers:  # only the driver knows them
            return await asyncpg.connect(self._target.dsn, **self._common)
        if len(self._servers) == 1:
            return await self._to(self._servers[0])
        asked: dict[asyncio.Task[Any], tuple[str, int]] = {}
        waiting, faults = list(self._servers), list[BaseException]()
        try:
            while waiting or asked:
                if waiting:
                    server = waiting.pop(0)
                    asked[asyncio.create_task(self._to(server))] = server
                patience = _HEAD_START_SECONDS if waiting else None
                done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (fault := task.exception()) is None:
                        found = asked.pop(task)
                        self._servers.sort(key=lambda each: each != found)
                        return task.result()
                    del asked[task]
                    faults.append(fault)
        finally:
            for task in asked:
                _let_go(task)
        raise max(faults, key=_tells)

    async def _to(self, server: tuple[str, int]) -> Any:
        """Connect to one server, if it is one that will do."""
        ours = self._wanted in _WRITING
        asked = "any" if ours else self._wanted
        where = {"host": server[0], "port": server[1], "target_session_attrs": asked}
        raw = await asyncpg.connect(self._target.dsn, **self._common, **where)
        try:
            will_do = not ours or await _takes_writes(raw, self._wanted)
        except BaseException:
            raw.terminate()
            raise
        if will_do:
            return raw
        raw.terminate()
        raise asyncpg.TargetServerAttributeNotMatched("it takes no writes")

    @property
    def _common(self) -> dict[str, Any]:
        if self.prepares:
            return {"connection_class": NamedApart, **self._options}
        return {"connection_class": Unprepared, **self._options, "statement_cache_size": 0}


async def _takes_writes(raw: Any, wanted: str) -> bool:
    """Tell whether a server takes writes: it is no standby, and not told to take none.

    A pooler may not pass on what the server is; it is asked then, in a transaction, as two questions may go to two
    servers there.
    """
    settings = raw.get_settings()
    if wanted == "read-write" and getattr(settings, "default_transaction_read_only", "off") == "on":
        return False
    standby = getattr(settings, "in_hot_standby", None)
    if standby is not None:
        return bool(standby == "off")
    async with raw.transaction():
        return not await raw.fetchval("SELECT pg_catalog.pg_is_in_recovery()")


def _let_go(task: "asyncio.Task[Any]") -> None:
    """End an attempt to connect that is no longer needed. Nobody waits for it, so that whoever waits can be stopped."""
    task.add_done_callback(_ended)
    task.cancel()


def _ended(task: "asyncio.Task[Any]") -> None:
    """Close what an attempt has connected all the same."""
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _tells(fault: BaseException) -> int:
    """Return how much a fault tells: a server that answers knows more than one that does not."""
    if isinstance(fault, asyncpg.TargetServerAttributeNotMatched):
        return 1
    return 2 if isinstance(fault, asyncpg.PostgresError | ValueError) else 0


def _probe(raw: Any, probes: Mapping[str, int]) -> None:
    """Have the system notice by itself that a server is gone without a word."""
    transport = getattr(raw, "_transport", None)
    opened = None if transport is None else transport.get_extra_info("socket")
    if opened is None or opened.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, (level, option) in _OPTIONS.items():
        if (number := getattr(socket, option, None)) is not None and (probes[name] > 0 or name == "keepalives"):
            with suppress(OSError):  # a system that knows it by name alone
                opened.setsockopt(level, number, probes[name])
