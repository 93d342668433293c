"""Keyrack as its own process behind a real socket: for what the server layer decides, and for what a process logs."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.postgres import PostgresServer

READY_SECONDS = 120.0


def command_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a Keyrack command: this process's without settings, plus those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    return clean | {"KEYRACK_HOME": str(home), **more}


def run_command(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a Keyrack command to its end."""
    command = [sys.executable, "-m", "keyrack", *words]
    return subprocess.run(
        command, env=command_environment(home, **more), capture_output=True, text=True, check=False, timeout=120
    )


@dataclass(frozen=True)
class Served:
    """A serving process.

    Attributes:
        port: on 127.0.0.1.
        first: what `bootstrap --json` printed.
        process: the serving process.
    """

    port: int
    first: dict[str, Any]
    process: subprocess.Popen[bytes]
    _log: Any

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> tuple[str, str]:
        """User name and API key of the first admin."""
        return self.first["admin"]["email"], self.first["admin"]["api_key"]

    def log(self) -> str:
        """Return what the process has written so far, to both outputs."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    def wait(self, path: str, status: int, seconds: float = READY_SECONDS) -> httpx2.Response:
        """Ask for a path until it answers with a status."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = httpx2.get(f"{self.base}{path}", timeout=30)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"{path} is not {status} after {seconds} s: {answer}"
            time.sleep(0.05)

    def speak(self, request: bytes, seconds: float = 10.0) -> bytes:
        """Send bytes over a connection of their own and return what comes back until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request)
            return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that is received until the other side closes, resets, or is silent for the socket's timeout."""
    received = b""
    while True:
        try:
            chunk = connection.recv(1 << 16)
        except (ConnectionError, TimeoutError):
            return received
        if not chunk:
            return received
        received += chunk


@contextmanager
def serving(home: Path, first: dict[str, Any], *words: str, **more: str) -> Iterator[Served]:
    """Serve an installation that was set up, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "keyrack", "serve", "--port", str(port), *words]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=command_environment(home, **more), stdout=log, stderr=log)
        served = Served(port, first, process, log)
        try:
            served.wait("/healthz", 200)
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def bootstrapped(home: Path, **more: str) -> dict[str, Any]:
    """Set an installation up and return what the command printed."""
    done = run_command(home, "bootstrap", "--email", "root@example.com", "--json", **more)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One serving process on SQLite for a whole test file."""
    home = tmp_path_factory.mktemp("served")
    with serving(home, bootstrapped(home)) as running:
        yield running


@pytest.fixture(scope="module")
def served_on_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One serving process on PostgreSQL, which is stricter about texts and lengths, for a whole test file."""
    name = f"served_{secrets.token_hex(6)}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    home, url = tmp_path_factory.mktemp("served"), postgres_server.url(name)
    first = bootstrapped(home, KEYRACK_DATABASE_URL=url)
    with serving(home, first, KEYRACK_DATABASE_URL=url) as running:
        yield running
    postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")
