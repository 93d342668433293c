"""`keyrack demo`: a real Keyrack and a real authorization server on loopback, and the story that shows them."""

import asyncio
import shlex
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from keyrack.demo.console_logins import give_logins, tell_logins
from keyrack.demo.servers import CLIENTS, Scene, set_up
from keyrack.demo.stage import WIDTH, Actor, Stage, Unexpected
from keyrack.demo.story import Cast, Story
from keyrack.demo.text import curl


def play(*, once: bool, browser: bool, verbose: bool) -> None:
    """Set everything up, play the story, and stay until Ctrl-C unless it is to be played `once`.

    Args:
        once: end after the last step.
        browser: a person goes through the consent.
        verbose: show every call and its answer, not only a line a step.

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
            story = asyncio.run(play_story(scene, console, person=browser, verbose=verbose))
            console.print(f"\n[bold green]Every step held[/] ({story.stage.calls} API calls).")
            if not once:
                logins = give_logins(scene, story)
                _tell(scene, story, console, person=browser, verbose=verbose)
                tell_logins(scene, logins, console)
                _wait(console)
    except Unexpected as broken:
        console.print(f"\n[bold red]✗ The story broke:[/] {escape(str(broken))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("\nstopped before the end of the story")
        raise typer.Exit(130) from None


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


async def play_story(scene: Scene, console: Console, *, person: bool, verbose: bool) -> Story:
    """Play the story on a scene, told to a console; return it.

    Args:
        scene: the servers and the first accounts.
        console: where it is told.
        person: whether somebody completes the consent in a browser.
        verbose: whether every call is shown.
    """
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
        stage = Stage(scene.base, http, console, verbose=verbose)

        async def make_user(title: str, *words: str) -> tuple[Actor, str]:
            made: dict[str, Any] = await asyncio.to_thread(scene.command, "users", "create", *words, "--json")
            stage.command(("keyrack", "users", "create", *words, "--json"), made)
            return Actor(title, made["email"], made["api_key"]), made["user_id"]

        console.print(f"  Keyrack at {scene.base}, an authorization server at {scene.provider}")
        if verbose:
            console.print("  $KEYRACK is the address; $SUPPORT, $ACME_ADMIN and the like are somebody's user name and")
            console.print("  API key, name:key. They are printed at the end, to be pasted into a shell.")
        story = Story(stage, cast, make_user, person=person)
        await story.play()
        return story


def _tell(scene: Scene, story: Story, console: Console, *, person: bool, verbose: bool) -> None:
    signs_in = "sign in as alice / wonderland" if person else "it approves whatever it is asked, nobody signs in"
    console.print(f"\n[bold]Keyrack stays up[/] at {scene.base}; Ctrl-C ends it, and nothing is kept.")
    console.print(f"  The API, to be read and tried: {scene.base}/docs (Authorize takes a name and key of those below)")
    console.print(f"  The authorization server: {scene.provider} ({signs_in})")
    console.print("\nPaste this into a shell, and what is printed here works there:\n")
    for line in _shell(scene, story):
        console.print(Text(f"  {line}"))
    if verbose:
        console.print("\nWhat made or deleted something above says now that it is there already (409), or gone (404).")
    console.print("\nFor example:\n")
    for line in _examples(story):
        console.print(Text(f"  {line}"))


def _wait(console: Console) -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nstopping …")


def _shell(scene: Scene, story: Story) -> list[str]:
    """Return the lines that make a shell know who is who, and which `keyrack` means this installation."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in sorted(scene.settings.items())]
    command = " ".join([*settings, shlex.quote(sys.executable), "-m", "keyrack", '"$@"'])
    roles = [f"export {role.variable}={shlex.quote(f'{role.name}:{role.api_key}')}" for role in story.roles]
    return [f"export KEYRACK={shlex.quote(scene.base)}", *roles, f"keyrack() {{ {command}; }}"]


def _examples(story: Story) -> list[str]:
    """Return commands that read what the story has left behind."""
    integrator, admin = story.integrator.variable, story.admin.variable
    return [
        *curl(integrator, "GET", f"$KEYRACK/v2/credentials?workspace_id={story.workspace}", None, WIDTH),
        *curl(admin, "GET", f"$KEYRACK/v2/tenants/{story.tenant}/oauth-clients", None, WIDTH),
        *curl(integrator, "GET", f"$KEYRACK/v2/workspaces/{story.workspace}/secrets", None, WIDTH),
        f"keyrack audit list --tenant {story.tenant} --limit 5",
    ]
