"""`keyrack demo`: a real Keyrack and a real authorization server on loopback, and the story that shows them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import typer
from rich.console import Console
from rich.markup import escape

from keyrack.cli.demo_stage import Role, Stage, Unexpected
from keyrack.cli.demo_story import Cast, play

_CLIENTS = {"Acme": ("acme-app", "acme-app-own-secret"), "Globex": ("globex-app", "globex-app-own-secret")}
_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Scene:
    """Two running servers and the first accounts."""

    base: str
    provider: str
    first: dict[str, Any]
    environment: dict[str, str]


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End after the story: exit 0 if every step held, else 1.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Let a person go through the consent in a browser.")
    ] = False,
) -> None:
    """Show Keyrack's main job on SQLite with generated keys and the bundled simulator."""
    console = Console(soft_wrap=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="keyrack-demo-") as folder, ExitStack() as running:
        scene = _set_up(Path(folder), running, person=browser, console=console)
        try:
            calls = asyncio.run(_play(scene, console, person=browser))
        except Unexpected as broken:
            console.print(f"\n[bold red]✗ The story broke:[/] {escape(str(broken))}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        console.print(f"\n[bold green]Every step held[/] ({calls} API calls).")
        if not once:
            _stay(scene, console)


def _set_up(folder: Path, running: ExitStack, *, person: bool, console: Console) -> _Scene:
    port, provider_port = _free_port(), _free_port()
    base, provider = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider_port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment |= {
        "KEYRACK_HOME": str(folder / "home"),
        "KEYRACK_PUBLIC_URL": base,
        "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true",
        "KEYRACK_LOG_LEVEL": "warning",
    }
    config = folder / "simulator.json"
    clients = [
        {
            "client_id": name,
            "client_secret": secret,
            "name": f"{tenant}'s app",
            "redirect_uris": [f"{base}/callback/oauth2"],
        }
        for tenant, (name, secret) in _CLIENTS.items()
    ]
    behaviour = {"approval": "page" if person else "auto"}
    config.write_text(json.dumps({"clients": clients, "behaviour": behaviour, "access_log": False}))
    console.print("[bold]keyrack demo[/]: setting up an empty installation …")
    identity = ["--email", "admin@acme.example", "--tenant-name", "Acme", "--app-domain", "acme.localhost"]
    first = _run(environment, "bootstrap", *identity, "--json")
    simulator = ["simulator", "--port", str(provider_port), "--config", str(config)]
    running.enter_context(_process(environment, *simulator))
    running.enter_context(_process(environment, "serve", "--port", str(port)))
    _wait_for(f"{base}/healthz")
    _wait_for(f"{provider}/.well-known/oauth-authorization-server")
    console.print(f"  Keyrack at {base}, an authorization server at {provider}")
    return _Scene(base, provider, first, environment)


async def _play(scene: _Scene, console: Console, *, person: bool) -> int:
    first = scene.first
    account, admin = first["service_account"], first["admin"]

    async def make_user(email: str, tenant_id: str, is_admin: bool) -> tuple[Role, str]:  # noqa: FBT001 - as declared
        words = ["users", "create", "--email", email, "--tenant", tenant_id, *(["--tenant-admin"] if is_admin else [])]
        console.print(f"  [green]operator[/] [dim]$[/] keyrack {' '.join(words)} --json")
        made = await asyncio.to_thread(_run, scene.environment, *words, "--json")
        title = "Globex admin" if is_admin else "Globex integrator"
        return Role(title, made["email"], made["api_key"]), made["user_id"]

    async with aiohttp.ClientSession() as http:
        stage = Stage(scene.base, http, console)

        async def let_a_person(url: str) -> str:
            console.print(
                f"\n  [bold magenta]Open this address in a browser[/], sign in as alice / wonderland:\n  {url}\n"
            )
            return await asyncio.to_thread(input, "  Press Enter when the page says that the account is connected. ")

        cast = Cast(
            support=Role("support", account["username"], account["api_key"]),
            acme=Role("Acme admin", admin["email"], admin["api_key"]),
            acme_ids={name: first[name] for name in ("tenant_id", "contract_id", "workspace_id", "team_id")},
            provider=scene.provider,
            clients=_CLIENTS,
        )
        await play(stage, cast, make_user, let_a_person if person else stage.approve)
        return stage.calls


def _stay(scene: _Scene, console: Console) -> None:
    admin, account = scene.first["admin"], scene.first["service_account"]
    console.print(f"\n[bold]Keyrack stays up[/] at {scene.base} (API description at {scene.base}/openapi.json)")
    console.print(f"  the simulator at {scene.provider}, user alice / wonderland")
    console.print(f"  Acme's admin:    {admin['email']}:{admin['api_key']}")
    console.print(f"  service account: {account['username']}:{account['api_key']}")
    console.print("  Ctrl-C ends both; nothing is kept.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nstopping …")


def _run(environment: dict[str, str], *words: str) -> Any:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "keyrack", *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unexpected(f"keyrack {words[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


@contextmanager
def _process(environment: dict[str, str], *words: str) -> Iterator[None]:
    """Run one of our servers in a process group of its own, so that Ctrl-C reaches us first."""
    command = [sys.executable, "-m", "keyrack", *words]
    server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    try:
        yield
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
                if answer.status == 200:  # noqa: PLR2004 - HTTP's OK
                    return
        except (URLError, OSError):
            pass
        if time.monotonic() > deadline:
            raise Unexpected(f"{url} did not answer in {_READY_SECONDS:.0f} seconds")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
