"""A program named `keyrack` that begins at once, for shells: its commands are forked as in `support.forked_commands`.

The program itself only hands its words, folder, environment and standard files over a socket, passes signals on, and
ends as the command did.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.forked_commands import Forked

_LONGEST_ORDER = 1 << 17
_PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
umask = os.umask(0o077)
os.umask(umask)
order = dict(words=sys.argv[1:], env=dict(os.environ), folder=os.getcwd(), umask=umask)
channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
channel.connect({address!r})
socket.send_fds(channel, [json.dumps(order).encode()], [1, 2, 0])
pid = int(channel.recv(64))
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
code = int(channel.recv(64))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def forked_program(folder: Path) -> Iterator[Path]:
    """Put the program into a folder below one that is given; return that, for the path, until the block ends."""
    programs = folder / "programs"
    programs.mkdir()
    address = str(programs / "s")
    program = programs / "keyrack"
    program.write_text(_PROGRAM.format(python=sys.executable, address=address))
    program.chmod(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen(16)
        taking = threading.Thread(target=_take, args=(listening,), daemon=True)
        taking.start()
        try:
            yield programs
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            taking.join()


def _take(listening: socket.socket) -> None:
    while True:
        try:
            channel, _ = listening.accept()
        except OSError:  # the block has ended
            return
        threading.Thread(target=_serve, args=(channel,), daemon=True).start()


def _serve(channel: socket.socket) -> None:
    """Start the command of one program and tell it how that ended; end the command if the program is gone."""
    with channel:
        text, files, _, _ = socket.recv_fds(channel, _LONGEST_ORDER, 3)
        order = json.loads(text)
        out, err, given = files
        command = Forked(
            order["words"], order["env"], out, err, given=given, folder=order["folder"], umask=order["umask"]
        )
        for file in files:
            os.close(file)
        channel.sendall(str(command.pid).encode())
        channel.settimeout(0)
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = command.wait(0.5)
                break
            with suppress(BlockingIOError):
                if not channel.recv(1):
                    command.kill()
        channel.settimeout(None)
        with suppress(BrokenPipeError):
            channel.sendall(str(code).encode())
