"""Servers end and their files go even when the tests are interrupted or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OWNER = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
from support.postgres import PostgresServer, postgres_package
server = PostgresServer(postgres_package(), durable=False)
print(server.socket_dir.parent, server._guard.ready["pid"], flush=True)
time.sleep(60)
"""

COMMANDS_OWNER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from support.forked_commands import Forked
out = os.open(os.devnull, os.O_WRONLY)
command = Forked(["simulator", "--port", "0"], dict(os.environ), out, out)
print(command.pid, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A container without an init process may keep the ended process as a zombie for a while.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_postgres_ends_with_its_owner(ending: signal.Signals, postgres_server: object) -> None:
    del postgres_server  # only to be skipped where PostgreSQL cannot be had
    command = [sys.executable, "-c", OWNER, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        root, pid = owner.stdout.readline().split()
        assert is_running(int(pid))
        owner.send_signal(ending)
    deadline = time.monotonic() + 60
    while is_running(int(pid)) or Path(root).exists():
        assert time.monotonic() < deadline, "PostgreSQL outlived the process that started it"
        time.sleep(0.05)


def test_a_forked_command_ends_with_its_owner() -> None:
    line = [sys.executable, "-c", COMMANDS_OWNER, str(Path(__file__).parents[1])]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.kill()
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline, "a command outlived the process that started it"
        time.sleep(0.05)
