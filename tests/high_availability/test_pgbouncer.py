"""PgBouncer in transaction mode: everything works through it, and what needs a session of its own says so."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import asyncpg
import httpx2
import pytest
from rich.console import Console
from structlog.testing import capture_logs

from keyrack.clock import now
from keyrack.crypto.kek import local
from keyrack.crypto.kek.sources import open_keys
from keyrack.demo.play import play_story
from keyrack.demo.servers import set_up
from keyrack.errors import DatabaseUnavailable
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.core import engine
from keyrack.store.core.keyring import Keyring
from keyrack.store.core.listening import Listener
from keyrack.store.core.store import Store
from keyrack.store.users import UserRows
from keyrack.wiring.storage import open_store
from support.app import settings_for, world
from support.grants import add_auth_client, add_secret, mint
from support.keyrack_processes import Server, environment
from support.pgbouncer import PgBouncer, pooled
from support.postgres import PostgresServer
from support.running import SERVERS, read_all, several_serving
from support.waits_and_faults import until

MANY = 20
DEAF = "KEYRACK_DATABASE_DIRECT_URL to the address of the same database past it"
UNPREPARED = "Set KEYRACK_DATABASE_PREPARED_STATEMENTS=false"


@pytest.fixture(scope="module")
def bouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    with pooled(postgres_server) as running:
        yield running


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"pooled_{secrets.token_hex(6)}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    yield name
    postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")


async def test_the_pooler_gives_each_transaction_another_connection(bouncer: PgBouncer, database: str) -> None:
    """Else what follows would prove nothing."""
    connections = [await asyncpg.connect(bouncer.url(database), statement_cache_size=0) for _ in range(4)]

    async def serving(connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            await asyncio.sleep(1 / 50)  # so that the others need connections of their own
            return int(await connection.fetchval("SELECT pg_backend_pid()"))

    rounds = [await asyncio.gather(*(serving(connection) for connection in connections)) for _ in range(4)]
    assert any(len(set(of_one)) > 1 for of_one in zip(*rounds, strict=True)), rounds
    for connection in connections:
        await connection.close()


@pytest.mark.filterwarnings("default::DeprecationWarning")  # of the demo's HTTP client
async def test_the_whole_story_goes_through_the_pooler(
    bouncer: PgBouncer, postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Commands, consents, refreshes, reads and the worker, as the demo plays and judges them."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "keyrack.toml").write_text(
        f'database_url = "{bouncer.url(database)}"\n'
        f'database_direct_url = "{postgres_server.url(database)}"\n'
        "database_prepared_statements = false\n"
    )
    told = StringIO()
    with ExitStack() as running:
        scene = await asyncio.to_thread(set_up, tmp_path, running, person=False)
        await play_story(scene, Console(file=told), person=False, verbose=False)
        assert await asyncio.to_thread(bouncer.has_served, postgres_server, database)
    assert postgres_server.sql("SELECT count(*) > 0 FROM auth_secrets WHERE generation > 0", database) == "t"


async def test_servers_share_refreshes_through_the_pooler(
    bouncer: PgBouncer, postgres_server: PostgresServer, database: str, tmp_path: Path, simulator: RunningSimulator
) -> None:
    simulator.state.set_defaults({"rotation": "strict", "latency": 100})
    more = {"database_direct_url": postgres_server.url(database), "database_prepared_statements": "false"}
    async with several_serving(tmp_path, bouncer.url(database), **more) as (keyrack, servers):
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        expired = [await add_secret(keyrack.store, acme, client, mint(simulator), age=4000) for _ in range(MANY)]
        found = await read_all(keyrack, servers, expired, SERVERS)
        assert all(list(tokens.values()) == [SERVERS] for tokens in found.values())
        assert simulator.state.calls(endpoint="token", grant_type="refresh_token") == MANY
        logs = [server.log() for server in servers]
        assert not any(DEAF in log or UNPREPARED in log for log in logs), logs
    assert all(grant.parallel_peak <= 1 for grant in simulator.state.book.grants.values())


async def test_that_the_pooler_carries_no_prepared_statements_is_found_out_and_said_once(
    bouncer: PgBouncer, postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Whoever asked one question is never answered another; at worst one unit is told that the database failed."""
    direct = settings_for(tmp_path / "home", postgres_server.url(database), allow_insecure_providers="true")
    async with world(direct) as keyrack:
        pooled_settings = settings_for(tmp_path / "home", bouncer.url(database))
        stores = [open_store(pooled_settings) for _ in range(3)]
        by_id = {tenant.id: tenant.admin.id for tenant in keyrack.tenants.values()}
        failed = 0

        async def look(store: Store, tenant_id: str, *, writes: bool) -> None:
            nonlocal failed
            try:
                async with store.unit(tenant_id, writes=writes) as unit:
                    assert await UserRows(unit).find(by_id[tenant_id]) is not None
                    others = [user for tenant, user in by_id.items() if tenant != tenant_id]
                    assert [await UserRows(unit).find(user) for user in others] == [None] * len(others)
            except DatabaseUnavailable:
                failed += 1

        with capture_logs() as logged:
            for _ in range(20):
                work = (look(store, tenant, writes=n == 0) for store in stores for tenant in by_id for n in range(2))
                await asyncio.gather(*work)
        said = [line for line in logged if UNPREPARED in line["event"]]
        assert 1 <= len(said) <= len(stores), "once for each process, which has one store"
        assert failed <= 4 * len(stores), "no more than were under way when it was found out"
        settled, failed = failed, 0
        await asyncio.gather(*(look(store, tenant, writes=True) for store in stores for tenant in by_id))
        assert failed == 0, settled
        for store in stores:
            await store.close()


async def test_without_a_way_past_the_pooler_it_says_so_and_a_revoked_key_ends_within_a_second(
    bouncer: PgBouncer, postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    direct = settings_for(tmp_path / "home", postgres_server.url(database), allow_insecure_providers="true")
    async with world(direct) as keyrack:
        env = environment(
            direct, database_url=bouncer.url(database), database_prepared_statements="false", log_level="warning"
        )
        servers = [Server(env, tmp_path / f"{n}.log", "--no-worker") for n in range(2)]
        try:
            for server in servers:
                await asyncio.to_thread(server.wait_until_ready)
            await until(lambda: all(DEAF in server.log() for server in servers))
            admin, guest = keyrack.tenants["Acme"].admin, keyrack.tenants["Acme"].guest
            async with httpx2.AsyncClient(timeout=30) as http:
                mine = [f"{server.base}/v2/users/me" for server in servers]
                key = (guest.name, guest.api_key)
                assert [(await http.get(url, auth=key)).status_code for url in mine] == [200, 200]
                gone = await http.delete(f"{servers[0].base}/v2/users/{guest.id}", auth=(admin.name, admin.api_key))
                assert gone.status_code in (202, 204), gone.text
                answered = time.monotonic()
                late = list[int]()
                while len(late) < 10:
                    began = time.monotonic()
                    status = (await http.get(mine[1], auth=key)).status_code
                    if began - answered >= 1:
                        late.append(status)
                    await asyncio.sleep(0.05)
                assert set(late) == {401}
            assert not any(UNPREPARED in server.log() for server in servers), "it was set"
        finally:
            for server in servers:
                server.kill()


async def test_an_address_past_the_pooler_that_is_another_database_is_not_believed(
    bouncer: PgBouncer, postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Nothing that is said in one database is heard in another: whoever believed it would keep revoked keys alive."""
    settings = settings_for(
        tmp_path / "home",
        bouncer.url(database),
        database_direct_url=postgres_server.url("postgres"),
        database_prepared_statements="false",
    )
    connect = engine.listener(settings)
    assert connect is not None
    settings.home.mkdir(mode=0o700)
    local.generate(settings.effective_key_file)
    store = Store(engine.open_database(settings), Keyring(open_keys(settings), now), now)
    listener = Listener(connect, store.say)
    started = time.monotonic()
    await listener.start()
    await until(lambda: listener._is_deaf)
    assert not listener.missed_nothing_since(started)
    await listener.close()
    await store.close()
