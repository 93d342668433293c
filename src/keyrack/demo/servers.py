"""Starts the demo's empty installation, Keyrack and simulator on loopback, and ends them with it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from keyrack.demo.stage import Unexpected

CLIENTS = {"Acme": ("acme-app", "acme-app-own-secret"), "Globex": ("globex-app", "globex-app-own-secret")}
"""Client id and secret at the simulator, by tenant."""

_ELSEWHERE = ("KEYRACK_CONFIG", "KEYRACK_DATABASE_URL", "KEYRACK_KEY", "KEYRACK_KEY_FILE")
"""Variables with which a command would mean another installation."""

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Two running servers and the first accounts.

    Attributes:
        base: Keyrack's address.
        provider: the simulator's.
        first: what `bootstrap` printed.
        environment: the environment in which `keyrack` means this installation.
        settings: what of it must be given to `keyrack` in another shell; empty is as good as not set.
    """

    base: str
    provider: str
    first: dict[str, Any]
    environment: dict[str, str]
    settings: dict[str, str]

    def command(self, *words: str) -> Any:
        """Run a `keyrack` command on the installation and return the JSON it prints.

        Raises:
            Unexpected: it failed.
        """
        return _run(self.environment, *words)

    def set_password(self, password: str, *words: str) -> None:
        """Run a `keyrack` command that takes a password from its standard input.

        Raises:
            Unexpected: it failed.
        """
        _run(self.environment, *words, "--json", given=password)


def set_up(folder: Path, running: ExitStack, *, person: bool) -> Scene:
    """Make an empty installation in a folder and start both servers.

    Args:
        folder: an empty one of ours.
        running: ends the servers.
        person: the simulator shows its pages, instead of approving at once.

    Raises:
        Unexpected: something did not start.
    """
    port, provider_port = _free_port(), _free_port()
    base, provider = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider_port}"
    settings = {
        "KEYRACK_HOME": str(folder / "home"),
        "KEYRACK_PUBLIC_URL": base,
        "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true",
        "KEYRACK_LOG_LEVEL": "error",  # that it is insecure is what a demo on loopback is meant to be
    }
    others = {name: "" for name in (*_ELSEWHERE, *os.environ) if name.startswith("KEYRACK_")}
    environment = {name: value for name, value in os.environ.items() if name not in others} | settings
    clients = [
        {
            "client_id": name,
            "client_secret": secret,
            "name": f"{tenant}'s app",
            "redirect_uris": [f"{base}/callback/oauth2"],
        }
        for tenant, (name, secret) in CLIENTS.items()
    ]
    config = folder / "simulator.json"
    behaviour = {"approval": "page" if person else "auto"}
    config.write_text(json.dumps({"clients": clients, "behaviour": behaviour, "access_log": False}))
    identity = ["--email", "admin@acme.example", "--tenant-name", "Acme", "--app-domain", "acme.localhost"]
    first = _run(environment, "bootstrap", *identity, "--json")
    simulator = ["simulator", "--port", str(provider_port), "--config", str(config)]
    running.enter_context(
        _server(environment, f"{provider}/.well-known/oauth-authorization-server", *simulator),
    )
    running.enter_context(_server(environment, f"{base}/healthz", "serve", "--port", str(port)))
    return Scene(base, provider, first, environment, others | settings)


def _run(environment: dict[str, str], *words: str, given: str = "") -> Any:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "keyrack", *words],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unexpected(f"keyrack {words[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


@contextmanager
def _server(environment: dict[str, str], ready: str, *words: str) -> Iterator[None]:
    """Run one of our servers in a process group of its own, so that Ctrl-C reaches us first."""
    command = [sys.executable, "-m", "keyrack", *words]
    server = subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait_for(ready, server)
        yield
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
                if answer.status == 200:  # noqa: PLR2004 - HTTP's OK
                    return
        except (URLError, OSError):
            pass
        if server.poll() is not None:
            raise Unexpected(f"the server for {url} ended with {server.returncode}")
        if time.monotonic() > deadline:
            raise Unexpected(f"{url} did not answer in {_READY_SECONDS:.0f} seconds")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
