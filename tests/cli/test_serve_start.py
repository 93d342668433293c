"""What a server says as it starts: where it listens and on what, what is insecure, and why it cannot listen."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack import __version__
from keyrack.cli import start_report
from keyrack.cli.listening import bound, port_of
from keyrack.errors import ConfigurationError
from keyrack.settings import load_settings
from support.keyrack_processes import Replica, bootstrapped, command_environment, run_command, serving
from support.postgres import PostgresServer
from support.waits_and_faults import wait_until

SECONDS = 60.0
NOBODY = 65534
MAY_TAKE_EVERY_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("starting") / "home"
    bootstrapped(made)
    return made


@contextmanager
def taken(family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a port meanwhile."""
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        yield listener.getsockname()[1]


def events(log: str, name: str) -> list[dict[str, Any]]:
    """Return the lines of a JSON log that tell of an event."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@pytest.mark.parametrize("words", ["serve", "serve --workers 2", "worker", "simulator"])
def test_a_busy_port_is_one_line_and_exit_1(home: Path, words: str) -> None:
    with taken() as port:
        done = run_command(home, *words.split(), "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"keyrack: cannot listen on 127.0.0.1 port {port}: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    if words != "simulator":
        assert done.stderr.endswith("something listens there already; stop it, or choose another --port\n")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("nowhere.invalid", "there is no such host"),
        ("a" * 300, "there is no such host"),
        ("", "there is no such host"),
        ("192.0.2.1", "this machine has no such address; --host takes one of its own, or 0.0.0.0 for all"),
    ],
)
@pytest.mark.parametrize("words", [["serve"], ["worker"]])
def test_a_host_that_is_not_here_is_one_line_and_exit_1(home: Path, words: list[str], host: str, reason: str) -> None:
    done = run_command(home, *words, "--port", "0", "--host", host)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"keyrack: cannot listen on {host} port 0: {reason}\n"


def test_a_port_of_the_machine_needs_privileges() -> None:
    first = int(MAY_TAKE_EVERY_PORT.read_text()) if MAY_TAKE_EVERY_PORT.exists() else 1024
    if first <= 1:
        pytest.skip("this machine lets everybody listen on every port")
    code = (
        "import os, sys\nfrom keyrack.cli.listening import bound\nfrom keyrack.errors import ConfigurationError\n"
        "bound('127.0.0.1', 0)\n"  # all that it takes is loaded: somebody else may not read where Python is
        f"if os.getuid() == 0:\n    os.setgid({NOBODY})\n    os.setuid({NOBODY})\n"
        "try:\n    bound('127.0.0.1', 1)\nexcept ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=SECONDS)
    told = "this user may not listen there; choose a --port from 1024 on, and let a proxy take the other"
    assert done.stdout == f"cannot listen on 127.0.0.1 port 1: {told}\n"


def test_a_home_that_cannot_be_written_is_one_line_and_exit_1(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bootstrapped(home)
    (home / "metrics").write_text("")  # stands for a folder without permission, which the superuser has everywhere
    done = run_command(home, "serve", "--workers", "2", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"keyrack: File exists: {home / 'metrics'}\n"


def test_a_name_is_listened_on_at_all_its_addresses_with_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(_host: str, port: int, **_: Any) -> list[Any]:
        kind = (socket.SOCK_STREAM, 6, "")
        return [
            (socket.AF_INET, *kind, ("127.0.0.1", port)),
            (socket.AF_INET, *kind, ("127.0.0.2", port)),
            (socket.AF_INET, *kind, ("192.0.2.1", port)),  # of an interface that is down
        ]

    monkeypatch.setattr(socket, "getaddrinfo", named)
    sockets = bound("two", 0)
    assert [made.getsockname() for made in sockets] == [(f"127.0.0.{n}", port_of(sockets)) for n in (1, 2)]
    sockets[1].listen()
    with pytest.raises(ConfigurationError, match="something listens there already"):
        bound("two", port_of(sockets))
    for made in sockets:
        made.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_says_where_it_listens_and_on_what(home: Path, tmp_path: Path, workers: int) -> None:
    words = ["serve", "--port", "0", "--workers", str(workers)]
    server = Replica(words, command_environment(home), tmp_path / "log", forked=workers == 1)
    try:
        wait_until(lambda: events(server.log(), "serving"))
        (told,) = events(server.log(), "serving")
        base = told["address"]
        assert base.startswith("http://127.0.0.1:")
        assert told | {"timestamp": ""} == {
            "event": "serving", "level": "info", "timestamp": "", "address": base, "docs": f"{base}/docs",
            "version": __version__, "workers": workers, "database": "SQLite",
            "database_name": str(home / "keyrack.sqlite3"),
        }  # fmt: skip
        wait_until(lambda: answers(f"{base}/docs"))
        assert [line["setting"] for line in events(server.log(), "insecure")] == ["KEYRACK_KEY_FILE"]
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def answers(address: str) -> bool:
    try:
        return httpx2.get(address).status_code == 200
    except httpx2.TransportError:
        return False


def test_serve_names_postgresql_and_no_password(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    first = bootstrapped(tmp_path, KEYRACK_DATABASE_URL=postgres_url)
    with serving(tmp_path, first, KEYRACK_DATABASE_URL=postgres_url) as served:
        (told,) = events(served.log(), "serving")
        named = (told["database"], told["database_host"], told["database_name"])
        address, _, name = postgres_url.rpartition("@")[2].partition("/")
        assert named == ("PostgreSQL", address, name)
        assert postgres_server.password not in served.log()


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("postgresql://me:pa%40ss@db.example:5433/keys", "db.example:5433", "keys"),
        ("postgres://me:canary@[2001:db8::1]/keys?sslmode=require", "[2001:db8::1]", "keys"),
        ("postgresql://me:canary#word@db.example/keys", "db.example", "keys"),
        ("postgresql://a.example:1,b.example:2/keys", "a.example:1,b.example:2", "keys"),
        ("postgresql:///keys?host=/run/postgresql&user=me&password=canary", "/run/postgresql", "keys"),
        ("postgresql://%2Frun%2Fpostgresql/keys", "/run/postgresql", "keys"),
        ("postgresql://?service=mine", "default", "default"),
    ],
)
def test_a_database_is_named_by_host_and_name_alone(tmp_path: Path, url: str, host: str, name: str) -> None:
    settings = load_settings({"KEYRACK_HOME": str(tmp_path), "KEYRACK_DATABASE_URL": url})
    told = start_report.database(settings)
    assert told == {"database": "PostgreSQL", "database_host": host, "database_name": name}
    assert "canary" not in str(told)


SECURE = {
    "KEYRACK_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "KEYRACK_PUBLIC_URL": "https://keyrack.example",
}


@pytest.mark.parametrize(
    ("given", "host", "warned"),
    [
        ({}, "127.0.0.1", []),
        ({}, "::1", []),
        ({}, "localhost", []),
        ({"KEYRACK_TRUSTED_PROXIES": "10.0.0.1"}, "0.0.0.0", []),
        ({}, "0.0.0.0", ["--host"]),
        ({}, "::", ["--host"]),
        ({}, "10.1.2.3", ["--host"]),
        ({"KEYRACK_PUBLIC_URL": "http://keyrack.example"}, "127.0.0.1", ["KEYRACK_PUBLIC_URL"]),
        ({"KEYRACK_ALLOW_INSECURE_PROVIDERS": "yes"}, "127.0.0.1", ["KEYRACK_ALLOW_INSECURE_PROVIDERS"]),
        ({"KEYRACK_KEY": ""}, "127.0.0.1", ["KEYRACK_KEY_FILE"]),
        ({"KEYRACK_KEY": "", "KEYRACK_KEY_FILE": "{home}/other"}, "127.0.0.1", ["KEYRACK_KEY_FILE"]),
        ({"KEYRACK_KEY": "", "KEYRACK_KEY_FILE": "/run/secrets/key"}, "127.0.0.1", []),
        ({"KEYRACK_METRICS_OPEN": "yes"}, "127.0.0.1", ["KEYRACK_METRICS_OPEN"]),
        ({"KEYRACK_WRONG_KEYS_LIMIT": "0"}, "127.0.0.1", ["KEYRACK_WRONG_KEYS_LIMIT"]),
        ({"KEYRACK_DATABASE_URL": "postgresql://db.example/x"}, "127.0.0.1", ["KEYRACK_DATABASE_URL"]),
        ({"KEYRACK_DATABASE_URL": "postgresql://db.example/x?sslmode=prefer"}, "127.0.0.1", ["KEYRACK_DATABASE_URL"]),
        ({"KEYRACK_DATABASE_URL": "postgresql://db.example/x?sslmode=verify-full"}, "127.0.0.1", []),
        ({"KEYRACK_DATABASE_URL": "postgresql://127.0.0.1:5432/x"}, "127.0.0.1", []),
        (
            {
                "KEYRACK_DATABASE_URL": "postgresql://127.0.0.1:6432/x",
                "KEYRACK_DATABASE_DIRECT_URL": "postgresql://db.example/x",
            },
            "127.0.0.1",
            ["KEYRACK_DATABASE_DIRECT_URL"],
        ),
        ({"KEYRACK_DATABASE_URL": "postgresql:///x?host=/run/postgresql"}, "127.0.0.1", []),
        ({"KEYRACK_DATABASE_URL": "postgresql://localhost,db.example/x"}, "127.0.0.1", ["KEYRACK_DATABASE_URL"]),
    ],
)
def test_what_is_insecure_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], host: str, warned: list[str]
) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    environment = {"KEYRACK_HOME": str(tmp_path)} | SECURE
    environment |= {name: value.replace("{home}", str(tmp_path)) for name, value in given.items()}
    found = list(start_report.insecure(load_settings(environment), host))
    assert [setting for setting, _ in found] == warned
    assert all(why for _, why in found)


def test_a_worker_with_a_port_says_so_without_the_page_of_an_api_it_has_not(home: Path, tmp_path: Path) -> None:
    worker = Replica(["worker", "--port", "0"], command_environment(home), tmp_path / "log")
    try:
        wait_until(lambda: events(worker.log(), "serving"))
        (told,) = events(worker.log(), "serving")
        assert "docs" not in told
        wait_until(lambda: answers(f"{told['address']}/healthz"))
        assert worker.stop() == 0
    finally:
        worker.kill()
