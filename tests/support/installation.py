"""An installation as an operator makes it: `keyrack bootstrap`, `keyrack serve`, real processes, real HTTP."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from support.process import ServerProcess

GUARD = Path(__file__).with_name("guard.py")
READY_SECONDS = 120.0
COMMAND_SECONDS = 120.0


@dataclass(frozen=True)
class Installation:
    """A served installation.

    Attributes:
        base: its address, without a slash at the end.
        first: what `keyrack bootstrap --json` printed.
        environment: the settings of its processes, for more commands on the same data.
        server: the process that ends `keyrack serve` when it ends.
    """

    base: str
    first: Mapping[str, Any]
    environment: Mapping[str, str]
    server: ServerProcess

    @property
    def pid(self) -> int:
        """The process of `keyrack serve`."""
        pid: int = self.server.ready["pid"]
        return pid


def settings(home: Path, **more: str) -> dict[str, str]:
    """Return settings for child processes, with those of our own environment switched off."""
    ours = {name: "" for name in os.environ if name.startswith("KEYRACK_")}
    return ours | {"KEYRACK_HOME": str(home)} | {f"KEYRACK_{name.upper()}": value for name, value in more.items()}


def command(environment: Mapping[str, str], *words: str) -> Any:
    """Run a `keyrack` command with `--json` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "keyrack", *words, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"keyrack {words[0]}: {done.stderr}")
    return json.loads(done.stdout)


@contextmanager
def installation(
    home: Path, *, email: str = "root@root.example", workers: int = 1, **more: str
) -> Iterator[Installation]:
    """Set an empty database up and serve it; ends with this process, however that ends."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = settings(home, **({"public_url": base} | more))
    first = command(environment, "bootstrap", "--email", email)
    argv = [sys.executable, "-m", "keyrack", "serve", "--port", str(port), "--workers", str(workers)]
    with serving(argv, environment) as server:
        wait_for(f"{base}/healthz", server)
        yield Installation(base, first, environment, server)


@contextmanager
def serving(argv: list[str], environment: Mapping[str, str]) -> Iterator[ServerProcess]:
    """Run a server that SIGTERM ends, so that it ends with this process, however that ends."""
    order = {"argv": argv, "user": None, "stop_signal": 15, "remove": []}
    with ServerProcess([sys.executable, "-I", GUARD, json.dumps(order)], env=environment) as server:
        yield server


def wait_for(url: str, server: ServerProcess) -> None:
    """Wait until an address answers 200."""
    deadline = time.monotonic() + READY_SECONDS
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
