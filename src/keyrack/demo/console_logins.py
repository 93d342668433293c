"""Lets the people of the demo's story sign in to the console, and says where and how."""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from keyrack.demo.servers import Scene
from keyrack.demo.story import Story


@dataclass(frozen=True, slots=True)
class Login:
    """With what somebody signs in, and what the console has for them."""

    name: str
    password: str
    sees: str


def give_logins(scene: Scene, story: Story) -> Sequence[Login]:
    """Give the people of the story passwords; return what they sign in with.

    Raises:
        Unexpected: a command failed.
    """
    logins = [
        Login(story.admin.name, _password(), "Globex's admin: clients, people, webhooks, the audit log"),
        Login(
            story.integrator.name, _password(), "Globex's integrator: accounts that are connected, and connecting more"
        ),
        Login(story.cast.acme.name, _password(), "Acme's admin, whose team owns the component"),
        Login(story.cast.support.name, _password(), "the operator, who watches the installation"),
    ]
    with ThreadPoolExecutor(len(logins)) as pool:  # each command takes a second to start
        list(pool.map(lambda login: scene.set_password(login.password, *_command(login)), logins))
    return logins


def tell_logins(scene: Scene, logins: Sequence[Login], console: Console) -> None:
    """Print where the console is, and what people sign in with."""
    console.print(f"\n[bold]The web console:[/] {scene.base}/console\n[bold]Sign in as one of these:[/]\n")
    longest = max(len(login.name) for login in logins)
    for login in logins:
        console.print(Text(f"  {login.name:{longest}}  {login.password}  {login.sees}"))


def _command(login: Login) -> tuple[str, ...]:
    if "@" in login.name:
        return ("users", "set-password", "--email", login.name)
    return ("service-accounts", "set-password", login.name)


def _password() -> str:
    return secrets.token_urlsafe(12)
