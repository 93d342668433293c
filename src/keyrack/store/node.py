"""The name of this process among all that share a database, and whether another on this machine still lives.

A lease names its holder. A holder that is known to be dead need not be waited for.
"""

import os
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_UNKNOWN = "0"


def node_id() -> str:
    """Return the name of this process: machine, process number and start time; a number used again does not match.

    A forked child has another name than its parent.
    """
    return _name_of(os.getpid())


@cache
def _name_of(own_pid: int) -> str:
    return f"{_machine()}#{own_pid}:{_start_time(own_pid) or _UNKNOWN}"


def is_dead(node: str) -> bool:
    """Tell whether a process is certainly gone; False for one on another machine, or when nothing is known."""
    machine, _, process = node.rpartition("#")
    pid, _, started = process.partition(":")
    if machine != _machine() or started == _UNKNOWN or not pid.isdigit():
        return False
    return _start_time(int(pid)) != started


@cache
def _machine() -> str:
    """Name what shares process numbers: this boot of this kernel, and the namespace the process is in."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if there is none, or only its remains."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
