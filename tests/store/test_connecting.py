"""Which of several servers is connected to, how soon, and how a dead one is noticed."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import asyncpg
import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.store.core import connecting
from keyrack.store.core.connecting import Connector, NamedApart
from keyrack.store.core.dsn import PostgresTarget, parse_database_url
from support.postgres import PostgresServer
from support.process import free_port
from support.waits_and_faults import until


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word, as a machine that has lost its power."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


def to(*ports: int, of: PostgresServer, database: str = "postgres", **parameters: Any) -> Connector:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    target = parse_database_url(Secret(f"postgresql://postgres:{of.password}@{hosts}/{database}?{query}"))
    assert isinstance(target, PostgresTarget)
    return Connector(target)


async def port_of(connect: Connector) -> int:
    raw = await connect()
    try:
        return int(raw._addr[1])
    finally:
        raw.terminate()


async def test_a_server_that_is_down_or_silent_costs_a_moment_and_is_asked_last_from_then_on(
    postgres_server: PostgresServer, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = to(free_port(), silent, postgres_server.port, of=postgres_server)
    assert await port_of(connect) == postgres_server.port
    assert connect._servers[0] == ("127.0.0.1", postgres_server.port)
    monkeypatch.setattr(connecting, "_HEAD_START_SECONDS", 3600.0)
    assert await port_of(connect) == postgres_server.port, "it is asked first, so nobody waits for the others"


@pytest.mark.parametrize("asked", [{}, {"target_session_attrs": "read-write"}, {"target_session_attrs": "primary"}])
async def test_a_server_that_takes_no_writes_is_passed_over(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """One that is a standby; `tests/high_availability` has real ones."""
    standby = "in_hot_standby"
    told = NamedApart.get_settings

    def settings(self: Any) -> Any:
        found = told(self)
        answers = {standby: "on" if self.get_server_pid() == passed[0] else "off"}
        return type("Settings", (), {**answers, "default_transaction_read_only": found.default_transaction_read_only})

    passed = [0]
    monkeypatch.setattr(NamedApart, "get_settings", settings)
    connect = to(postgres_server.port, postgres_server.port, of=postgres_server, **asked)
    made = list[Any]()
    original = asyncpg.connect

    async def remembered(*given: Any, **more: Any) -> Any:
        raw = await original(*given, **more)
        made.append(raw)
        if len(made) == 1:
            passed[0] = raw.get_server_pid()
        return raw

    monkeypatch.setattr(asyncpg, "connect", remembered)
    raw = await connect()
    assert (len(made), raw is made[1], made[0].is_closed()) == (2, True, True)
    raw.terminate()


async def test_where_no_server_takes_writes_the_operator_is_told_so(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    postgres_server.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    connect = to(postgres_server.port, free_port(), of=postgres_server, database=database)
    with pytest.raises(DatabaseUnavailable) as raised:
        await connect()
    (told,) = raised.value.for_operators
    assert "no server that answers takes writes; is a standby waiting to be promoted?" in told
    assert "KEYRACK_DATABASE_URL" in told
    assert await port_of(to(postgres_server.port, free_port(), of=postgres_server, database=database,
                            target_session_attrs="any"))  # fmt: skip


async def test_a_wrong_password_is_told_rather_than_that_another_server_is_down(
    postgres_server: PostgresServer,
) -> None:
    target = parse_database_url(
        Secret(f"postgresql://postgres:canary@127.0.0.1:{free_port()},127.0.0.1:{postgres_server.port}/postgres")
    )
    assert isinstance(target, PostgresTarget)
    with pytest.raises(DatabaseUnavailable) as raised:
        await Connector(target, "KEYRACK_DATABASE_DIRECT_URL")()
    (told,) = raised.value.for_operators
    assert "the password of the role" in told
    assert "KEYRACK_DATABASE_DIRECT_URL" in told
    assert "canary" not in told


async def test_attempts_that_are_not_needed_any_more_are_ended(postgres_server: PostgresServer, silent: int) -> None:
    before = asyncio.all_tasks()
    raw = await to(silent, postgres_server.port, of=postgres_server)()
    raw.terminate()
    await until(lambda: asyncio.all_tasks() == before)


async def test_an_attempt_that_is_slow_to_end_delays_nobody_and_what_it_connects_is_closed(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_HEAD_START_SECONDS", 0.0)
    made, original, go_on = list[Any](), asyncpg.connect, asyncio.Event()

    async def stubborn(*given: Any, **more: Any) -> Any:
        raw = await original(*given, **more)
        made.append(raw)
        if len(made) == 1:
            while not go_on.is_set():
                with suppress(asyncio.CancelledError):
                    await go_on.wait()
        return raw

    monkeypatch.setattr(asyncpg, "connect", stubborn)
    raw = await to(postgres_server.port, postgres_server.port, of=postgres_server)()
    assert raw is made[1]
    go_on.set()
    await until(made[0].is_closed)
    assert not raw.is_closed()
    raw.terminate()


def options(raw: Any) -> dict[str, int]:
    opened = raw._transport.get_extra_info("socket")
    known = {name: (level, getattr(socket, option)) for name, (level, option) in connecting._OPTIONS.items()}
    return {name: opened.getsockopt(*option) for name, option in known.items()}


async def test_a_machine_that_is_gone_without_a_word_is_noticed_by_the_system(
    postgres_server: PostgresServer,
) -> None:
    raw = await to(postgres_server.port, of=postgres_server)()
    usual = {"keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 5, "tcp_user_timeout": 5000}
    assert options(raw) == {"keepalives": 1, **usual}
    raw.terminate()
    asked: dict[str, Any] = {
        "keepalives_idle": 7,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 1234,
    }
    raw = await to(postgres_server.port, of=postgres_server, **asked)()
    assert options(raw) == {"keepalives": 1, **asked}
    raw.terminate()
    raw = await to(postgres_server.port, of=postgres_server, keepalives=0)()
    assert options(raw)["keepalives"] == 0
    raw.terminate()


def test_a_probe_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tcp_user_timeout in KEYRACK_DATABASE_URL is not a whole number"):
        parse_database_url(Secret("postgresql://db.example/x?tcp_user_timeout=soon"))


async def test_statements_of_two_connections_never_share_a_name(postgres_server: PostgresServer) -> None:
    """Behind a pooler that hands connections around, one's name would stand for the other's statement."""
    connect, names = to(postgres_server.port, of=postgres_server), set[str]()
    for _ in range(3):
        raw = await connect()
        statements = [await raw.prepare(f"SELECT {n}") for n in range(3)]
        names |= {statement.get_name() for statement in statements}
        raw.terminate()
    assert len(names) == 9


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://me:pw@one,two:7/x", [("one", 5432), ("two", 7)]),
        ("postgresql://me:pw@[::1]:7,[fe80::2]/x", [("::1", 7), ("fe80::2", 5432)]),
        ("postgresql:///x?host=one,/run/pg&port=7,8", [("one", 7), ("/run/pg", 8)]),
        ("postgresql://%2Frun%2Fpg:7/x", [("/run/pg", 7)]),
        ("postgresql://one,two/x?port=7", [("one", 7), ("two", 7)]),
        ("postgresql:///x", []),
        ("postgresql://one:seven/x", []),
        ("postgresql://one,two,three/x?port=7,8", []),
    ],
)
def test_the_servers_of_a_url(url: str, servers: list[tuple[str, int]]) -> None:
    target = parse_database_url(Secret(url))
    assert isinstance(target, PostgresTarget)
    assert list(target.servers) == servers
    assert target.asks_for == ("read-write" if len(servers) > 1 else "any")
