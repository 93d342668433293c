"""`keyrack demo`: a real Keyrack and a real authorization server on loopback, and the story that shows them."""

import asyncio
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import typer
from rich.console import Console
from rich.markup import escape

from keyrack.demo.servers import CLIENTS, Scene, set_up
from keyrack.demo.stage import Actor, Stage, Unexpected
from keyrack.demo.story import Cast, Story


def play(*, once: bool, browser: bool) -> None:
    """Set everything up, play the story, and stay until Ctrl-C unless it is to be played `once`.

    Raises:
        typer.Exit: with 1 if a step did not hold, with 130 if it was stopped.
    """
    console = Console(soft_wrap=True, highlight=False)
    # a shell without job control starts what ends in & with Ctrl-C ignored; the demo promises to end on it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that the servers end with us, as on Ctrl-C
        signal.signal(ending, _end)
    try:
        with tempfile.TemporaryDirectory(prefix="keyrack-demo-") as folder, ExitStack() as running:
            console.print("[bold]keyrack demo[/]: setting up an empty installation …")
            scene = set_up(Path(folder), running, person=browser)
            story = asyncio.run(_play(scene, console, person=browser))
            console.print(f"\n[bold green]Every step held[/] ({story.stage.calls} API calls).")
            if not once:
                _stay(scene, story, console)
    except Unexpected as broken:
        console.print(f"\n[bold red]✗ The story broke:[/] {escape(str(broken))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\nstopped before the end of the story")
        raise typer.Exit(130) from None


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


async def _play(scene: Scene, console: Console, *, person: bool) -> Story:
    first = scene.first
    account, admin = first["service_account"], first["admin"]
    async with aiohttp.ClientSession() as http:
        cast = Cast(
            support=Actor("support", account["username"], account["api_key"]),
            acme=Actor("Acme admin", admin["email"], admin["api_key"]),
            acme_ids={name: first[name] for name in ("tenant_id", "contract_id", "workspace_id", "team_id")},
            provider=scene.provider,
            clients=CLIENTS,
        )
        stage = Stage(scene.base, http, console)

        async def make_user(title: str, *words: str) -> tuple[Actor, str]:
            made: dict[str, Any] = await asyncio.to_thread(scene.command, "users", "create", *words, "--json")
            stage.command(("keyrack", "users", "create", *words, "--json"), made)
            return Actor(title, made["email"], made["api_key"]), made["user_id"]

        console.print(f"  Keyrack ($KEYRACK below) at {scene.base}, an authorization server at {scene.provider}")
        console.print("  $SUPPORT, $ACME_ADMIN and the like stand for somebody's user name and API key, name:key")
        story = Story(stage, cast, make_user, person=person)
        await story.play()
        return story


def _stay(scene: Scene, story: Story, console: Console) -> None:
    console.print(f"\n[bold]Keyrack stays up[/] at {scene.base} (API description at {scene.base}/openapi.json),")
    console.print(
        f"the simulator at {scene.provider} (sign in as alice / wonderland). Ctrl-C ends both; nothing is kept."
    )
    console.print(
        "With these in a shell, lines like those above work (with clear secrets in place of the masked ones):\n"
    )
    console.print(f"  export KEYRACK={scene.base}")
    for role in story.roles:
        console.print(escape(f"  export {role.variable}='{role.name}:{role.api_key}'"))
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nstopping …")
