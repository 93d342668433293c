"""Servers run as child processes: ready line, start time, and an end that no crash of the tests can prevent."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

ANSWER_SECONDS = 120.0
READY_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServerProcess:
    """A child that prints one JSON line when it is ready and ends when its standard input closes.

    The kernel closes that pipe however this process ends, so an interrupted or killed test run leaves nothing behind.

    Attributes:
        ready: what the child printed, such as its port.
        started_in: seconds from starting the child to its ready line.
    """

    def __init__(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        began = time.monotonic()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the child runs
        self._process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=None if env is None else {**os.environ, **env},
            start_new_session=True,  # a Ctrl-C reaches the tests first; they end their servers in order
        )
        try:
            self.ready: dict[str, Any] = json.loads(self._read_line(began + READY_SECONDS))
        except BaseException:
            self.stop()
            raise
        self.started_in = time.monotonic() - began

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """Return what the child has written to standard error so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the child: first by closing its standard input, then by force. May be called twice."""
        if self._log.closed:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        for force in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                force()
            else:
                break
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._process.stdout.fileno(), 4096) if readable else b""
            if not chunk:
                what = "ended" if readable else f"was not ready within {READY_SECONDS:.0f} s"
                raise RuntimeError(f"{self._process.args!r} {what}:\n{self.log()}")
            line += chunk
        return line


def guard(
    argv: Sequence[str],
    *,
    stop_signal: int = signal.SIGTERM,
    user: int | None = None,
    remove: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> ServerProcess:
    """Start a server that does not watch its standard input, so that it ends with this process, however that ends.

    Args:
        argv: its command line.
        stop_signal: what ends it in order.
        user: whom to run it as; ourselves if None.
        remove: directories to delete once it has ended with us.
        env: variables for it, beside ours.

    Returns:
        The process that watches it; `ready["pid"]` is the server's.
    """
    order = {"argv": list(argv), "user": user, "stop_signal": stop_signal, "remove": list(remove)}
    return ServerProcess([sys.executable, "-I", Path(__file__).with_name("guard.py"), json.dumps(order)], env=env)


@contextmanager
def guarded(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator[ServerProcess]:
    """Run a server that SIGTERM ends until the block ends, or this process does."""
    with guard(argv, env=environment) as server:
        yield server


def wait_for(url: str, server: ServerProcess) -> None:
    """Wait until an address answers 200."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with urlopen(url, timeout=30):
                return
        except OSError:
            if not server.is_running() or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer:\n{server.log()}") from None
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
