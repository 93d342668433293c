"""The PostgreSQL fixtures: real databases that start empty, keep what was committed and leave nothing behind."""

import subprocess
from pathlib import Path

import asyncpg
import pytest

from support.postgres import MAX_CONNECTIONS, PostgresServer


async def test_url_leads_to_an_empty_database_of_postgresql_18(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert connection.get_server_version().major == 18
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE TABLE leftover (id int)")
    finally:
        await connection.close()


async def test_next_test_gets_another_empty_database(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('leftover')") is None
    finally:
        await connection.close()


def test_socket_and_limits(postgres_server: PostgresServer) -> None:
    assert postgres_server.sql("SHOW max_connections") == str(MAX_CONNECTIONS)
    assert postgres_server.sql("SELECT inet_client_addr() IS NULL") == "t"
    assert postgres_server.started_in < 20


async def test_tcp_needs_the_password(postgres_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.url("postgres").replace(postgres_server.password, "wrong"))


def test_durable_server_recovers_what_was_committed(postgres_server_durable: PostgresServer) -> None:
    server = postgres_server_durable
    server.sql("CREATE TABLE kept (id int)")
    server.sql("INSERT INTO kept VALUES (7)")
    server.stop(immediate=True)
    server.start()
    assert server.sql("SELECT id FROM kept") == "7"
    assert server.sql("SHOW fsync") == "on"
    server.stop()
    server.start()
    assert server.sql("SELECT id FROM kept") == "7"


def test_close_ends_the_server_and_deletes_its_files(postgres_server_durable: PostgresServer) -> None:
    root = postgres_server_durable.socket_dir.parent
    assert root.exists()
    pid = (root / "data" / "postmaster.pid").read_text().split()[0]
    postgres_server_durable.close()
    assert not root.exists()
    assert not Path(f"/proc/{pid}").exists() or subprocess.run(["kill", "-0", pid], check=False).returncode != 0
