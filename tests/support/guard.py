"""Run a server that does not watch its standard input, and end it when ours closes.

Started as `python guard.py JSON`, where JSON has:
    argv: the server's command line.
    user: numeric user to run it as, or null to keep ours (PostgreSQL refuses to run as root).
    stop_signal: the signal that ends it in order.
    remove: directories to delete once it has ended because our standard input closed.

It prints one JSON line with the server's pid, and ends with the server. Being a process of its own, it works even when
the tests are killed.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys

STOP_SECONDS = 8.0


def main() -> int:
    order = json.loads(sys.argv[1])
    user = order["user"]
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    child = subprocess.Popen(order["argv"], stdin=subprocess.DEVNULL, stdout=sys.stderr, **identity)
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    print(json.dumps({"pid": child.pid}), flush=True)  # noqa: T201  # the ready line is this program's output
    while child.poll() is None:
        try:
            closed = bool(select.select([0], [], [], 0.05)[0]) and os.read(0, 1) == b""
        except OSError:  # SIGTERM closed it
            closed = True
        if closed:
            child.send_signal(order["stop_signal"])
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            if child.poll() is None:
                child.kill()
                child.wait()
            for directory in order["remove"]:
                shutil.rmtree(directory, ignore_errors=True)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
