"""The name of a process tells whether it still lives; of what cannot be known it is never said that it is dead."""

import os
import subprocess
import sys

import pytest

from keyrack.store.core import process_id
from keyrack.store.core.process_id import is_dead, node_id


def parts() -> tuple[str, int, str]:
    machine, _, process = node_id().rpartition("#")
    pid, _, started = process.partition(":")
    return machine, int(pid), started


def test_a_name_has_machine_process_and_start() -> None:
    machine, pid, started = parts()
    assert pid == os.getpid()
    assert machine
    assert started.isdigit()
    assert started != "0"
    assert node_id() == node_id()
    assert not is_dead(node_id())


def test_a_number_used_again_is_another_process() -> None:
    machine, pid, started = parts()
    assert is_dead(f"{machine}#{pid}:{int(started) + 1}")
    assert not is_dead(f"{machine}#{pid}:0"), "whose start is not known"


def test_a_process_that_ended_is_dead_even_while_its_parent_has_not_looked() -> None:
    machine, _, _ = parts()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_id._start_time(child.pid)
    name = f"{machine}#{child.pid}:{started}"
    assert not is_dead(name)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_id._start_time(child.pid) == ""
    assert is_dead(name)
    child.wait()
    assert process_id._start_time(child.pid) is None
    assert is_dead(name)


@pytest.mark.parametrize("process", ["", "x:1", f"{2**70}:5", "-1:5", ":5"])
def test_what_is_no_name_is_not_called_dead(process: str) -> None:
    machine, _, _ = parts()
    assert not is_dead(f"{machine}#{process}")


def test_a_process_of_another_machine_is_not_called_dead() -> None:
    machine, pid, started = parts()
    assert not is_dead(f"{machine}x#{pid}:{int(started) + 1}")
    assert not is_dead(f"elsewhere#{pid}:{int(started) + 1}")
