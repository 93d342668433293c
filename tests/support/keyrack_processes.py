"""Keyrack as processes of its own: commands, served installations, servers to be raced, killed and stopped."""

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.settings import PREFIX, Settings
from support import forked_commands
from support.forked_commands import Forked
from support.postgres import PostgresServer
from support.process import ServerProcess, free_port, guarded, wait_for

_PR_SET_PDEATHSIG = 1
_READY_SECONDS = 120.0
_COMMAND_SECONDS = 120.0


def settings(home: Path, **more: str) -> dict[str, str]:
    """Return settings for child processes, with those of our own environment switched off."""
    ours = {name: "" for name in os.environ if name.startswith(PREFIX)}
    return ours | {f"{PREFIX}HOME": str(home)} | {PREFIX + name.upper(): value for name, value in more.items()}


def command_environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a Keyrack command: this process's without settings, plus those given."""
    return _without_settings() | {f"{PREFIX}HOME": str(home), **more}


def environment(settings: Settings, **more: object) -> dict[str, str]:
    """Return the environment of a process with the same database, keys and home as `settings`."""
    given = {
        "HOME": settings.home,
        "DATABASE_URL": settings.effective_database_url.reveal(),
        "ALLOW_INSECURE_PROVIDERS": "true",
        "LOG_LEVEL": "warning",
        "LOG_FORMAT": "json",
        **{name.upper(): value for name, value in more.items()},
    }
    return _without_settings() | {PREFIX + name: str(value) for name, value in given.items()}


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def run_command(
    home: Path, *words: str, given: str | None = None, file_size: int | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a Keyrack command to its end, with a text on its standard input, or a limit to the size of files."""
    environment = command_environment(home, **more)
    return forked_commands.run(words, environment, _COMMAND_SECONDS, given=given, file_size=file_size)


def command(environment: Mapping[str, str], *words: str) -> Any:
    """Run a Keyrack command with `--json`, which must succeed, and return what it printed."""
    done = forked_commands.run((*words, "--json"), {**os.environ, **environment}, _COMMAND_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"keyrack {words[0]}: {done.stderr}")
    return json.loads(done.stdout)


def bootstrapped(home: Path, **more: str) -> dict[str, Any]:
    """Set an installation up and return what the command printed."""
    made: dict[str, Any] = command(command_environment(home, **more), "bootstrap", "--email", "root@example.com")
    return made


class Replica:
    """A `keyrack` process that ends with the tests, however they end.

    Args:
        words: its command line.
        env: its whole environment.
        log: the file that both its outputs are added to.
        forked: fork it from a process that has loaded Keyrack, which saves a second, rather than start it from nothing.
    """

    def __init__(self, words: list[str], env: Mapping[str, str], log: Path, *, forked: bool = True) -> None:
        self._words, self._env, self._log, self._forked = words, env, log, forked
        self.starts = 0
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        return self._process.pid

    def restart(self) -> None:
        """Start it anew after it ended."""
        self._process = self._spawn()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it as a supervisor does; return its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """Return what it has written so far, to both outputs."""
        return self._log.read_text(errors="replace")

    def _spawn(self) -> "Forked | subprocess.Popen[bytes]":
        self.starts += 1
        with self._log.open("ab") as log:
            if self._forked:
                return Forked(self._words, self._env, log.fileno(), log.fileno())
            return subprocess.Popen(  # a new session: a Ctrl-C reaches the tests first
                [sys.executable, "-m", "keyrack", *self._words],
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing else runs in the child
            )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server(Replica):
    """`keyrack serve`, or another command that listens on a free port of 127.0.0.1."""

    def __init__(self, env: Mapping[str, str], log: Path, *words: str, command: str = "serve") -> None:
        self.port = free_port()
        forked = "--workers" not in words  # those are started by a process that must have started like them
        super().__init__([command, "--port", str(self.port), *words], env, log, forked=forked)

    @property
    def base(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        self.wait("/healthz", 200)

    def wait(self, path: str, status: int, seconds: float = _READY_SECONDS) -> httpx2.Response:
        """Ask for a path until it answers with a status."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = httpx2.get(f"{self.base}{path}", timeout=30)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            assert self.is_running(), self.log()
            assert time.monotonic() < deadline, f"{path} is not {status} after {seconds} s: {answer}\n{self.log()}"
            time.sleep(0.05)


class Served(Server):
    """A serving process of an installation that `keyrack bootstrap` made.

    Attributes:
        first: what `bootstrap --json` printed.
    """

    def __init__(self, first: dict[str, Any], env: Mapping[str, str], log: Path, *words: str) -> None:
        self.first = first
        super().__init__(env, log, *words)

    @property
    def admin(self) -> tuple[str, str]:
        """User name and API key of the first admin."""
        return self.first["admin"]["email"], self.first["admin"]["api_key"]

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
    with tempfile.NamedTemporaryFile(prefix="keyrack-served-", suffix=".log") as log:
        served = Served(first, command_environment(home, **more), Path(log.name), *words)
        try:
            served.wait_until_ready()
            yield served
        finally:
            with suppress(subprocess.TimeoutExpired):
                served.stop()


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


@dataclass(frozen=True)
class Installation:
    """An installation that is served by a process with a guard, which takes further variables as it is.

    Attributes:
        base: its address, without a slash at the end.
        first: what `keyrack bootstrap --json` printed.
        environment: the settings of its processes, for more commands on the same data.
        server: the process that ends `keyrack serve` when it ends.
    """

    base: str
    first: Mapping[str, Any]
    environment: Mapping[str, str]
    server: ServerProcess

    @property
    def pid(self) -> int:
        """The process of `keyrack serve`."""
        pid: int = self.server.ready["pid"]
        return pid


@contextmanager
def installation(
    home: Path, *, email: str = "root@root.example", workers: int = 1, **more: str
) -> Iterator[Installation]:
    """Set an empty database up as an operator does, and serve it at its public address, until the block ends."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = settings(home, **({"public_url": base} | more))
    first = command(environment, "bootstrap", "--email", email)
    argv = [sys.executable, "-m", "keyrack", "serve", "--port", str(port), "--workers", str(workers)]
    with guarded(argv, environment) as server:
        wait_for(f"{base}/healthz", server)
        yield Installation(base, first, environment, server)
