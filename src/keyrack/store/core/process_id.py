"""Names this process among all that share a database, and tells whether another on this machine lives.

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
    """Tell whether a process is certainly gone; False for one on another machine, or when nothing is known.

    A wrong answer would let two processes refresh one grant. So a process that cannot be looked at (hidden from this
    user, no file descriptors left) counts as alive.
    """
    machine, _, process = node.rpartition("#")
    pid, _, started = process.partition(":")
    if machine != _machine() or started == _UNKNOWN or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # it exists, or we cannot know
    found = _start_time(int(pid))
    return found is not None and found != started


@cache
def _machine() -> str:
    """Name what shares process numbers: this boot of this kernel, and the namespace the process is in."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; empty for its mere remains, None if it cannot be known."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return "" if fields[0] in b"ZX" else fields[19].decode("ascii")
