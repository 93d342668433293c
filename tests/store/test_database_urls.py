"""Every form of URL that libpq takes reaches a real PostgreSQL; what is not supported is refused (issue 2.5)."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError
from keyrack.store.core import dsn, engine
from support.app import settings_for
from support.postgres import PostgresServer

AWKWARD = "p@ss:w/rd?&=+ #%é"

Form = Callable[[PostgresServer, str], str]


def in_url(server: PostgresServer) -> str:
    return quote(str(server.socket_dir), safe="")


FORMS: dict[str, Form] = {
    "TCP": lambda s, d: f"postgresql://postgres:{s.password}@127.0.0.1:{s.port}/{d}",
    "short scheme": lambda s, d: f"postgres://postgres:{s.password}@127.0.0.1:{s.port}/{d}",
    "socket in query": lambda s, d: f"postgresql://postgres@/{d}?host={s.socket_dir}&port={s.port}",
    "socket in query, encoded": lambda s, d: f"postgresql://postgres@/{d}?host={in_url(s)}&port={s.port}",
    "socket as host": lambda s, d: f"postgresql://postgres@{in_url(s)}:{s.port}/{d}",
    "socket, all in query": lambda s, d: f"postgresql:///?host={s.socket_dir}&port={s.port}&user=postgres&dbname={d}",
    "no authority": lambda s, d: f"postgresql:///{d}?host={s.socket_dir}&port={s.port}&user=postgres",
    "several hosts": lambda s, d: f"postgresql://postgres:{s.password}@127.0.0.1:1,127.0.0.1:{s.port}/{d}",
    "several hosts in query": lambda s, d: f"postgresql://postgres@/{d}?host=127.0.0.1,{s.socket_dir}&port=1,{s.port}",
    "session attributes": lambda s, d: f"{s.url(d)}?target_session_attrs=read-write",
    "password in query": lambda s, d: f"postgresql://postgres@127.0.0.1:{s.port}/{d}?password={s.password}",
    "localhost": lambda s, d: f"postgresql://postgres:{s.password}@localhost:{s.port}/{d}",
    "sslmode disable": lambda s, d: f"{s.url(d)}?sslmode=disable",
    "sslmode allow": lambda s, d: f"{s.url(d)}?sslmode=allow",
    "sslmode prefer": lambda s, d: f"{s.url(d)}?sslmode=prefer",
    "without effect": lambda s, d: f"{s.url(d)}?keepalives=1&channel_binding=prefer&gssencmode=disable",
    "timeout": lambda s, d: f"{s.url(d)}?connect_timeout=5",
    "encoding": lambda s, d: f"{s.url(d)}?client_encoding=LATIN1",
}


@asynccontextmanager
async def connected(home: Path, url: str) -> AsyncIterator[AsyncConnection]:
    database = engine.create_engine(settings_for(home, url))
    try:
        async with database.connect() as connection:
            yield connection
    finally:
        await database.dispose()


async def value(connection: AsyncConnection, query: str) -> str:
    return str((await connection.execute(text(query))).scalar_one())


@pytest.fixture
def database(postgres_url: str) -> str:
    return postgres_url.rpartition("/")[2]


@pytest.mark.parametrize("form", FORMS)
async def test_form_connects(postgres_server: PostgresServer, database: str, tmp_path: Path, form: str) -> None:
    async with connected(tmp_path, FORMS[form](postgres_server, database)) as connection:
        assert await value(connection, "SELECT current_database()") == database
        assert await value(connection, "SELECT 'é'") == "é"
        assert await value(connection, "SHOW application_name") == "keyrack"


async def test_options_and_names_reach_the_server(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    options = quote("-c statement_timeout=4321 -c search_path=pg_catalog")
    url = f"{postgres_server.url(database)}?options={options}&application_name=two%20words"
    async with connected(tmp_path, url) as connection:
        assert await value(connection, "SHOW statement_timeout") == "4321ms"
        assert await value(connection, "SHOW search_path") == "pg_catalog"
        assert await value(connection, "SHOW application_name") == "two words"
    async with connected(tmp_path, f"{postgres_server.url(database)}?fallback_application_name=other") as connection:
        assert await value(connection, "SHOW application_name") == "other"


async def test_awkward_names_and_passwords(postgres_server: PostgresServer, tmp_path: Path) -> None:
    role, database = "k r@ck/é", "d b/?#é"
    postgres_server.sql(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{AWKWARD}'")
    postgres_server.sql(f'CREATE DATABASE "{database}" OWNER "{role}"')
    enc = {name: quote(name, safe="") for name in (role, database, AWKWARD)}
    where = f"127.0.0.1:{postgres_server.port}/{enc[database]}"
    raw_plus = AWKWARD.replace("%", "%25").replace("&", "%26").replace("#", "%23").replace(" ", "%20")
    try:
        for url in (
            f"postgresql://{enc[role]}:{enc[AWKWARD]}@{where}",
            f"postgresql://{where}?user={enc[role]}&password={enc[AWKWARD]}",
            f"postgresql://{where}?user={enc[role]}&password={raw_plus}",  # a plus sign stays one
        ):
            async with connected(tmp_path, url) as connection:
                assert await value(connection, "SELECT current_user") == role
                assert await value(connection, "SELECT current_database()") == database
    finally:
        postgres_server.sql(f'DROP DATABASE "{database}" WITH (FORCE)')
        postgres_server.sql(f'DROP ROLE "{role}"')


async def test_a_bare_number_sign_in_a_password_is_part_of_it() -> None:
    target = dsn.parse_database_url(Secret("postgresql://someone:a#b@db.example/name"))
    assert isinstance(target, dsn.PostgresTarget)
    assert target.dsn == "postgresql://someone:a%23b@db.example/name"


async def test_the_password_may_come_from_the_environment_or_a_file(
    postgres_server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://postgres@127.0.0.1:{postgres_server.port}/{database}"
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{postgres_server.port}:*:postgres:{postgres_server.password}\n")
    passfile.chmod(0o600)
    async with connected(tmp_path, f"{url}?passfile={passfile}") as connection:
        assert await value(connection, "SELECT 1") == "1"
    monkeypatch.setenv("PGPASSWORD", postgres_server.password)
    async with connected(tmp_path, url) as connection:
        assert await value(connection, "SELECT 1") == "1"
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    async with connected(tmp_path, url) as connection:
        assert await value(connection, "SELECT 1") == "1"


async def test_a_service_names_server_and_database(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "services.conf"
    lines = ["[keyrack]", "host=127.0.0.1", f"port={postgres_server.port}", f"dbname={database}", "user=postgres"]
    file.write_text("\n".join([*lines, f"password={postgres_server.password}", ""]))
    async with connected(tmp_path, f"postgresql://?service=keyrack&servicefile={file}") as connection:
        assert await value(connection, "SELECT current_database()") == database
    with pytest.raises(ConfigurationError, match="service"):
        async with connected(tmp_path, f"postgresql://?service=other&servicefile={file}"):
            pass


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("host=localhost dbname=canary", "must begin with postgresql"),
        ("mysql://canary@localhost/x", "must begin with postgresql"),
        ("postgresql+asyncpg://canary@localhost/x", "must begin with postgresql"),
        ("postgresql://canary@localhost/x?hostaddr=127.0.0.1", "hostaddr"),
        ("postgresql://canary@localhost/x?pool_size=3", "'pool_size'"),
        ("postgresql://canary@localhost/x?sslmode=maybe", "sslmode"),
        ("postgresql://canary@localhost/x?target_session_attrs=canary", "target_session_attrs"),
        ("postgresql://canary@localhost/x?port=canary", "port"),
        ("postgresql://canary@localhost/x?connect_timeout=soon", "connect_timeout"),
        ("postgresql://canary@localhost/x?sslmode", "without a value"),
        ("sqlite://canary/x", "SQLite"),
        ("sqlite:///", "SQLite"),
        ("sqlite:///canary?mode=ro", "SQLite"),
    ],
)
def test_what_is_not_supported_is_named_and_the_url_not_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        dsn.parse_database_url(Secret(url))
    assert said in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_a_port_that_is_no_number_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        async with connected(tmp_path, "postgresql://canary:canary@localhost:canary/x"):
            pass


def test_nothing_of_the_url_is_in_the_environment_of_the_tests() -> None:
    assert not {name for name in os.environ if name.startswith("PG")}, "these would decide what is tested here"
