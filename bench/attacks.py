"""What tenants can do to harm others, each attack going on until it is cancelled, and counted.

Attackers call Keyrack from loopback addresses of their own, as strangers would, and their servers listen on loopback.
"""

import asyncio
import itertools
import json
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.secrets_stored import Stored, add_client, add_secrets
from bench.stage import Caller
from bench.tenants_stored import LATER, add_contracts, add_events, add_tenant, make_due
from keyrack.store.core.store import Store
from support.keyrack_processes import Installation
from support.loopback_peers import NameServer
from support.raw_provider import Handler, LoopbackServers

_EXPIRED = 7_200  # seconds since a token was issued that lives an hour
_PAUSE = 0.1  # seconds until who got an answer asks again: an attack is not a flood
_REOPEN = 1.0  # seconds until a connection that was closed is opened again
_CHUNK = 1 << 16
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000

_NAMES, _NAMES_AT_ONCE = 200, 20
_INTERIM_SERVERS, _INTERIM_AT_ONCE = 20, 4
_FAILING_TENANTS, _FAILING_SECRETS = 3, 10
_CONTRACTS, _CUSTOM_BYTES, _LISTS_AT_ONCE = 60, 900_000, 2
_DUE_PORTS, _DUE_SECRETS = 100, 1_600
_WEBHOOKS, _EVENTS = 10, 800
_READ_PORTS, _READS = 54, 540
_PASSWORDS_AT_ONCE = 40
_SILENT = 1_100
_SHOWS = 8
"""Calls under way to servers that hang that show an attack in the background; Keyrack makes more."""


@dataclass(slots=True)
class Tally:
    """What attackers have achieved.

    Attributes:
        requests: what they asked of Keyrack; a connection that asks nothing counts too.
        calls: what Keyrack asked of their servers: requests, and names.
        held: connections that attackers and their servers hold at the moment.
        most_held: the same at most.
        answers: how many there were of each status; 0 stands for connections that ended without one.
    """

    requests: int = 0
    calls: int = 0
    held: int = 0
    most_held: int = 0
    answers: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Count a connection as held for the length of a block."""
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            yield
        finally:
            self.held -= 1


@dataclass(slots=True)
class Ground:
    """What is attacked, and with what.

    Attributes:
        store: its database, where attackers' things are put.
        served: the serving Keyrack.
        victim: whom attackers have nothing to do with.
        provider: address of the victim's provider, `http://name:port`.
        names: the name server that Keyrack asks.
        servers: those of the attackers.
        tenants: attackers that have been added.
    """

    store: Store
    served: Installation
    victim: Stored
    provider: str
    names: NameServer
    servers: LoopbackServers = field(default_factory=LoopbackServers)
    tally: Tally = field(default_factory=Tally)
    tenants: list[Stored] = field(default_factory=list)
    _addresses: Iterator[str] = field(default_factory=lambda: itertools.cycle(_addresses()))

    @property
    def port(self) -> int:
        """Where Keyrack listens."""
        return int(self.served.base.rpartition(":")[2])

    async def attacker(self) -> Stored:
        """Add a tenant."""
        made = await add_tenant(self.store, self.victim, f"attacker-{secrets.token_hex(4)}")
        self.tenants.append(made)
        return made

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to Keyrack from one of the attackers' addresses."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(next(self._addresses), 0))

    async def ask(self, tenant: Stored, method: str, path: str, body: str = "") -> None:
        """Send a request, read the answer to its end and forget it."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\nauthorization: {tenant.authorization}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        status = 0
        with suppress(OSError):
            reader, writer = await self.connect()
            try:
                with self.tally.holding():
                    self.tally.requests += 1
                    writer.write((head + body).encode())
                    status = int((await reader.readline())[9:12] or 0)
                    while await reader.read(_CHUNK):
                        pass
            finally:
                writer.transport.abort()
        self.tally.answers[status] += 1
        await asyncio.sleep(_PAUSE)

    async def hang(self) -> str:
        """Start a server that takes every request and never answers; return its address."""

        async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read(1)

        return await self.listen(handle)

    async def listen(self, handle: Handler) -> str:
        """Start a server that reads each request and then does as told; return its address."""

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with self.tally.holding():
                await self.servers.read(reader)
                self.tally.calls += 1
                await handle(reader, writer)

        return f"http://127.0.0.1:{await self.servers.start(counted)}"


Going = Callable[[], Coroutine[Any, Any, None]]
"""An attack that is prepared: goes on until it is cancelled."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to harm others.

    Attributes:
        name: what the report calls it.
        prepare: puts there what it needs, without harm yet, and returns it.
        in_place: whether what it does shows.
    """

    name: str
    prepare: Callable[[Ground], Awaitable[Going]]
    in_place: Callable[[Tally], bool]


def _addresses() -> Sequence[str]:
    """Return addresses to call from: several, so that a limit for each of them alone does not end an attack."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:  # only Linux has all of 127.0.0.0/8
            return ["127.0.0.1"]
    return [f"127.0.0.{number}" for number in range(2, 10)]


async def _at_once(count: int, act: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again, `count` times side by side."""

    async def again() -> None:
        while True:
            await act()

    await _together(*(again() for _ in range(count)))


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Do several things side by side; if one fails, all end."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part)


async def _forced_refreshes(
    ground: Ground, tenant: Stored, endpoints: Sequence[str], secrets_each: int = 1
) -> Callable[[], Awaitable[None]]:
    """Store expired secrets at token endpoints; return what forces the refresh of one after the other."""
    paths = await _secrets(ground, tenant, endpoints, secrets_each)
    turns = itertools.cycle(paths)

    async def act() -> None:
        await ground.ask(tenant, "POST", f"{next(turns)}/refresh")

    return act


async def _secrets(ground: Ground, tenant: Stored, endpoints: Sequence[str], each: int) -> list[str]:
    """Store expired secrets, so many at each token endpoint, due after `LATER`; return their paths."""
    paths = []
    for endpoint in endpoints:
        client = await add_client(ground.store, tenant, endpoint)
        due = [datetime.now(UTC) + LATER] * each
        found = await add_secrets(ground.store, tenant, client, due, age=_EXPIRED)
        paths += [f"/v2/workspaces/{tenant.first['workspace_id']}/secrets/{secret_id}" for secret_id in found]
    return paths


async def _silent_names(ground: Ground) -> Going:
    """Refreshes at names that no name server answers for."""
    tenant = await ground.attacker()
    endpoints = [f"http://idp{n}.{secrets.token_hex(4)}.example/token" for n in range(_NAMES)]
    act = await _forced_refreshes(ground, tenant, endpoints)
    before = len(ground.names.asked)

    async def count() -> None:
        ground.tally.calls = len(ground.names.asked) - before
        await asyncio.sleep(_PAUSE)

    async def go() -> None:
        await _together(_at_once(_NAMES_AT_ONCE, act), _at_once(1, count))

    return go


async def _endless_interim_answers(ground: Ground) -> Going:
    """Refreshes at servers that send `100 Continue` for ever."""

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(_INTERIM)
            await writer.drain()
            await asyncio.sleep(0.001)  # the other servers have their turn

    tenant = await ground.attacker()
    endpoints = [f"{await ground.listen(flood)}/token" for _ in range(_INTERIM_SERVERS)]
    act = await _forced_refreshes(ground, tenant, endpoints)
    return lambda: _at_once(_INTERIM_AT_ONCE, act)


async def _failing_path(ground: Ground) -> Going:
    """Refreshes at a path of the victim's own provider that answers 503."""
    acts = []
    for _ in range(_FAILING_TENANTS):
        tenant = await ground.attacker()
        acts.append(await _forced_refreshes(ground, tenant, [f"{ground.provider}/failing"], _FAILING_SECRETS))

    return lambda: _together(*(_at_once(1, act) for act in acts))


async def _large_documents(ground: Ground) -> Going:
    """Lists of contracts with much custom data."""
    tenant = await ground.attacker()
    await add_contracts(ground.store, tenant, _CONTRACTS, _CUSTOM_BYTES)
    return lambda: _at_once(
        _LISTS_AT_ONCE, lambda: ground.ask(tenant, "GET", "/v2/contracts?page%5Bsize%5D=1000&page%5Bnumber%5D=1")
    )


async def _due_secrets(ground: Ground) -> Going:
    """Secrets that have been due for an hour, at servers that hang."""
    tenant = await ground.attacker()
    endpoints = [f"{await ground.hang()}/token" for _ in range(_DUE_PORTS)]
    await _secrets(ground, tenant, endpoints, _DUE_SECRETS // _DUE_PORTS)
    return lambda: _fall_due(ground, tenant)


async def _events(ground: Ground) -> Going:
    """Events that have been due for an hour, for receivers that hang."""
    tenant = await ground.attacker()
    caller = Caller(_as_installation(ground, tenant))
    for _ in range(_WEBHOOKS):
        path, url = f"/v2/tenants/{tenant.first['tenant_id']}/webhooks", f"{await ground.hang()}/hook"
        webhook = await asyncio.to_thread(caller.create, path, "webhook", {"url": url})
        await add_events(ground.store, tenant, webhook, [datetime.now(UTC) + LATER] * (_EVENTS // _WEBHOOKS))
    return lambda: _fall_due(ground, tenant)


async def _slow_reads(ground: Ground) -> Going:
    """Reads of expired secrets, which wait for servers that hang."""
    tenant = await ground.attacker()
    endpoints = [f"{await ground.hang()}/token" for _ in range(_READ_PORTS)]
    turns = itertools.cycle(await _secrets(ground, tenant, endpoints, _READS // _READ_PORTS))
    return lambda: _at_once(_READS, lambda: ground.ask(tenant, "GET", next(turns)))


async def _background(ground: Ground) -> Going:
    """Due secrets, events and slow reads, of three tenants at once."""
    parts = [await prepare(ground) for prepare in (_due_secrets, _events, _slow_reads)]

    return lambda: _together(*(part() for part in parts))


async def _passwords(ground: Ground) -> Going:
    """New users, whose passwords have to be hashed."""
    tenant = await ground.attacker()

    async def add_user() -> None:
        name = secrets.token_hex(6)
        attributes = {
            "first_name": "Some", "last_name": "Body", "email": f"{name}@attacker.example", "password": f"{name}-Aa1!"
        }  # fmt: skip
        await ground.ask(tenant, "POST", "/v2/users", json.dumps({"data": {"type": "user", "attributes": attributes}}))

    return lambda: _at_once(_PASSWORDS_AT_ONCE, add_user)


async def _silent_connections(ground: Ground) -> Going:
    """Connections that say nothing, and are opened again when they are closed."""

    async def hold() -> None:
        with suppress(OSError):
            ground.tally.requests += 1
            reader, writer = await ground.connect()
            try:
                with ground.tally.holding():
                    await reader.read()
            finally:
                writer.transport.abort()
        ground.tally.answers[0] += 1
        await asyncio.sleep(_REOPEN)

    return lambda: _at_once(_SILENT, hold)


async def _fall_due(ground: Ground, tenant: Stored) -> None:
    await make_due(ground.store, [tenant], LATER + timedelta(hours=1))
    await asyncio.Event().wait()


def _as_installation(ground: Ground, tenant: Stored) -> Installation:
    return Installation(ground.served.base, tenant.first, tenant.environment, ground.served.server)


ATTACKS: Sequence[Attack] = (
    Attack("silent names", _silent_names, lambda tally: tally.calls >= 1),
    Attack("endless interim answers", _endless_interim_answers, lambda tally: tally.calls >= 1),
    Attack("a path that answers 503", _failing_path, lambda tally: tally.requests >= 10 * _FAILING_TENANTS),
    Attack("large documents", _large_documents, lambda tally: tally.held >= 1),
    Attack("due secrets", _due_secrets, lambda tally: tally.held >= _SHOWS),
    Attack("events", _events, lambda tally: tally.held >= _SHOWS),
    Attack("slow reads", _slow_reads, lambda tally: tally.requests >= _READS),
    Attack("due, events and reads", _background, lambda tally: tally.requests >= _READS and tally.calls >= _SHOWS),
    Attack("password hashing", _passwords, lambda tally: tally.requests >= _PASSWORDS_AT_ONCE),
    Attack("silent connections", _silent_connections, lambda tally: tally.requests >= _SILENT),
)
"""In the order of issue 9."""
