"""Keyrack as several real processes on one database, to be raced, killed and stopped."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2

from keyrack.settings import PREFIX, Settings

_PR_SET_PDEATHSIG = 1
_READY_SECONDS = 120.0


def environment(settings: Settings, **more: object) -> dict[str, str]:
    """Return the environment of a process with the same database, keys and home as `settings`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {
        "HOME": settings.home,
        "DATABASE_URL": settings.effective_database_url.reveal(),
        "ALLOW_INSECURE_PROVIDERS": "true",
        "LOG_LEVEL": "warning",
        "LOG_FORMAT": "json",
        **{name.upper(): value for name, value in more.items()},
    }
    return clean | {PREFIX + name: str(value) for name, value in given.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Replica:
    """A `keyrack` process that ends with the tests, however they end."""

    def __init__(self, words: list[str], env: Mapping[str, str], log: Path) -> None:
        self._words, self._env, self._log = words, env, log
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
        return self._log.read_text(errors="replace")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(  # a new session: a Ctrl-C reaches the tests first
                [sys.executable, "-m", "keyrack", *self._words],
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing else runs in the child
            )


class Server(Replica):
    """`keyrack serve`, or another command that listens."""

    def __init__(self, env: Mapping[str, str], log: Path, *words: str, command: str = "serve") -> None:
        self.port = free_port()
        super().__init__([command, "--port", str(self.port), *words], env, log)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                if httpx2.get(f"{self.base_url}/healthz").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            assert self.is_running(), self.log()
            assert time.monotonic() < deadline, f"not ready in {_READY_SECONDS:.0f} s:\n{self.log()}"
            time.sleep(0.05)
