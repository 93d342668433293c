"""The name of a process tells whether it still lives; of what cannot be known it is never said that it is dead."""

import os
import subprocess
import sys
from pathlib import Path

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
    after_the_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert started == after_the_name[22 - 3], "the 22nd of proc_pid_stat(5), of which the third is the first here"
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


def test_a_process_whose_own_name_looks_like_what_is_told_of_it_is_told_right() -> None:
    code = "open('/proc/self/comm', 'w').write('a) Z 1 (b) 2'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        started = process_id._start_time(child.pid)
        assert started
        assert started.isdigit()
        machine, _, _ = parts()
        assert not is_dead(f"{machine}#{child.pid}:{started}")
        assert is_dead(f"{machine}#{child.pid}:{int(started) - 1}")
        child.communicate(b"\n")
        assert child.returncode == 0, "to look at a process does nothing to it"


def test_processes_share_a_machine_while_they_share_numbers_and_this_boot() -> None:
    machine, _, _ = parts()
    boot, _, numbers = machine.partition("/")
    assert len(boot) == 36
    assert numbers == os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - what it is called, and not where it leads


@pytest.mark.parametrize("process", ["", "x:1", f"{2**70}:5", "-1:5", ":5"])
def test_what_is_no_name_is_not_called_dead(process: str) -> None:
    machine, _, _ = parts()
    assert not is_dead(f"{machine}#{process}")


def test_a_process_of_another_machine_is_not_called_dead() -> None:
    machine, pid, started = parts()
    assert not is_dead(f"{machine}x#{pid}:{int(started) + 1}")
    assert not is_dead(f"elsewhere#{pid}:{int(started) + 1}")
