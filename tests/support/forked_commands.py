"""Keyrack commands that begin at once: forked from a process that has loaded Keyrack and does nothing else.

A command is a process of its own as ever, with its own arguments, environment, files, signals and exit code; only the
second in which it would import everything is spent once. Run as a program, this module is the process that forks.
That commands start without it is shown by tests/guides and tests/cli/test_start_up.py.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LONGEST_ORDER = 1 << 17
_LOADED_TOO = ("aiosqlite", "asyncpg", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite")
"""What Keyrack's libraries import when they are first used."""


class Forked:
    """A running command; as `subprocess.Popen` where it has the same methods. It ends with this process at the latest.

    What Python itself reads from the environment (`PYTHON...`, the character set) is as it is here.

    Args:
        words: what follows `keyrack` on the command line.
        env: its whole environment.
        out: the descriptor of its standard output.
        err: that of its standard error.
        given: that of its standard input; nothing is on it unless it is given.
        file_size: how many bytes any file may have that it writes.
        folder: where it runs, if not here.
        umask: its own, if not that of this process.
    """

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        out: int,
        err: int,
        *,
        given: int | None = None,
        file_size: int | None = None,
        folder: str = "",
        umask: int | None = None,
    ) -> None:
        self.args = ["keyrack", *words]
        self.returncode: int | None = None
        if umask is None:
            umask = os.umask(0o077)
            os.umask(umask)
        order = {
            "words": list(words),
            "env": dict(env),
            "folder": folder or str(Path.cwd()),
            "umask": umask,
            "file_size": file_size,
        }
        files = [out, err] if given is None else [out, err, given]
        self._ended, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(_forking().channel, [json.dumps(order).encode()], [theirs.fileno(), *files])
        self.pid = int(self._ended.recv(64))

    def poll(self) -> int | None:
        """Return its exit code, as `subprocess` counts, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it has ended, at most some seconds; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it runs still.
        """
        if self.returncode is None:
            self._ended.settimeout(seconds)
            try:
                self.returncode = int(self._ended.recv(64))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(self.args, seconds or 0) from None
            self._ended.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    words: Sequence[str],
    env: Mapping[str, str],
    seconds: float,
    *,
    given: str | None = None,
    file_size: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        words: what follows `keyrack` on the command line.
        env: its whole environment.
        seconds: the longest it may take; then it is killed.
        given: what is on its standard input.
        file_size: as of `Forked`; what it prints does not count, and is then 64 KiB at most.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    with (
        tempfile.TemporaryFile() as text,
        _printed(pipes=file_size is not None) as (out, printed),
        _printed(pipes=file_size is not None) as (err, complained),
    ):
        text.write((given or "").encode())
        text.seek(0)
        source = None if given is None else text.fileno()
        command = Forked(words, env, out, err, given=source, file_size=file_size)
        try:
            code = command.wait(seconds)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
            raise
        return subprocess.CompletedProcess(command.args, code, printed(), complained())


@contextmanager
def _printed(*, pipes: bool) -> Iterator[tuple[int, Callable[[], str]]]:
    """Give where a command may write, and what reads it then: a file, or a pipe, which has room for 64 KiB."""
    if not pipes:
        with tempfile.TemporaryFile() as file:
            yield file.fileno(), lambda: os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()
        return
    ours, theirs = os.pipe()

    def read() -> str:
        os.set_blocking(ours, False)
        with suppress(BlockingIOError):
            return os.read(ours, 1 << 16).decode()
        return ""

    try:
        yield theirs, read
    finally:
        os.close(ours)
        os.close(theirs)


class _Forking:
    """The process that forks; it ends when this one does, however that ends, as its channel closes then."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:  # -P: what lies beside this file is no library; a new session: a Ctrl-C reaches the tests first
            command = [sys.executable, "-P", __file__]
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
        atexit.register(self.stop)

    def stop(self) -> None:
        self.channel.close()
        self._process.wait()


@cache
def _forking() -> _Forking:
    return _Forking()


def _wait_for_orders() -> list[str]:
    """Fork for each order until nobody gives any; return only in a child, as the command with these words."""
    with socket.socket(fileno=os.dup(0)) as channel:
        while True:
            order, files, _, _ = socket.recv_fds(channel, _LONGEST_ORDER, 4)
            with suppress(ChildProcessError):  # so that the remains of those that ended go, and their time is ours
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not order:
                sys.exit()
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    _end_with_parent()
    reply, *standard = files
    pid = os.fork()
    if pid:  # beside each command, somebody who tells how it ended
        for file in standard:
            os.close(file)
        os.write(reply, str(pid).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):
            os.write(reply, str(code).encode())
        os._exit(0)
    _end_with_parent()
    return _become(json.loads(order), *standard)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests are a shell's background job


def _become(order: dict[str, Any], out: int, err: int, given: int | None = None) -> list[str]:
    """Take on files, folder, limit, umask and environment of a command; return its words."""
    if given is None:
        given = os.open(os.devnull, os.O_RDONLY)
    for file, standard in ((given, 0), (out, 1), (err, 2)):
        os.dup2(file, standard)
    os.closerange(3, 64)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(order["folder"])
    os.umask(order["umask"])
    if order["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    os.environ.clear()
    os.environ.update(order["env"])
    words: list[str] = order["words"]
    return words


def _load() -> None:
    """Import all that a command may import."""
    for found in pkgutil.walk_packages(importlib.import_module("keyrack").__path__, "keyrack."):
        if not found.name.endswith((".__main__", ".migrations.env")) and ".versions." not in found.name:
            importlib.import_module(found.name)
    for name in _LOADED_TOO:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    sys.argv = ["keyrack", *_wait_for_orders()]
    runpy.run_module("keyrack", run_name="__main__", alter_sys=True)
