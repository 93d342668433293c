"""Makes the demo's calls; shows a line a step, or each call as a `curl` line that works in a shell, with its answer."""

import json
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.hdrs import AUTHORIZATION
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.markup import escape
from rich.text import Text

from keyrack.demo.text import curl, joined, laid_out, masked, masked_address, page_text, shortened

WIDTH = 100
"""Characters of a line; nobody reads longer ones, and a narrower terminal wraps them."""

_INDENT = "    "
_MOST_LINES = 24
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_REDIRECTS = 8


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in the story, with a user name and an API key."""

    title: str
    name: str
    api_key: str

    @property
    def variable(self) -> str:
        """The shell variable that stands for user name and API key in the lines shown."""
        return self.title.upper().replace(" ", "_")


class Unexpected(Exception):
    """A step of the story did not hold."""


class Stage:
    """Calls Keyrack and shows it.

    Args:
        base: Keyrack's address.
        http: makes the calls.
        console: where all is printed.
        verbose: show every command and its answer; else what happens, in one line a step. What requests hold is shown
            in clear, as the demo has made it up itself; in answers secrets are masked.
    """

    def __init__(self, base: str, http: aiohttp.ClientSession, console: Console, *, verbose: bool) -> None:
        self._base = base
        self._http = http
        self._console = console
        self._verbose = verbose
        self._json = JSONHighlighter()
        self.calls = 0

    def say(self, text: str) -> None:
        """Print what happens next: a headline, or all there is of a step."""
        self._console.print(f"{chr(10) * self._verbose}[bold cyan]●[/] [bold]{escape(text)}[/]")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._tell(f"  [dim]{escape(text)}[/]")

    def command(self, words: Sequence[str], made: Any) -> None:
        """Print a command of the operator's, and what it printed."""
        self._prompt("operator", joined([shlex.quote(word) for word in words], WIDTH - len(_INDENT)))
        self._tell("  [green]→ exit code 0[/]")
        self._show(made)

    async def call(
        self, who: Actor, method: str, path: str, body: Any = None, *, expect: int, show: bool = True
    ) -> Any:
        """Make one API call, show it, and return the parsed answer (None for an empty one).

        Args:
            who: the caller.
            method: the HTTP method.
            path: path and query.
            body: what to send as JSON.
            expect: the status that must come back.
            show: whether to show the answer's body.

        Raises:
            Unexpected: another status came back.
        """
        self._prompt(who.title, curl(who.variable, method, f"$KEYRACK{path}", body, WIDTH - len(_INDENT)))
        status, document = await self._send(who, method, path, body)
        self.calls += 1
        colour = "green" if status < HTTPStatus.BAD_REQUEST else "yellow"
        self._tell(f"  [{colour}]→ {status} {HTTPStatus(status).phrase}[/]")
        if status != expect:
            self._verbose = True  # it is over, and somebody wants to know why
        if document is not None and (show or status != expect):
            self._show(document)
        if status != expect:
            raise Unexpected(f"{method} {path} answered {status}, not {expect}")
        return document

    async def look(self, who: Actor, path: str) -> Any:
        """Read something without showing it, to wait for it."""
        return (await self._send(who, "GET", path, None))[1]

    def hold(self, condition: bool, claim: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Check a claim of the story and show it.

        Raises:
            Unexpected: it does not hold.
        """
        if not condition:
            raise Unexpected(f"this does not hold: {claim}")
        self._tell(f"  [bold green]✓[/] {escape(claim)}")

    async def play_the_browser(self, authorization_url: str) -> None:
        """Open the authorization URL as a browser would, and follow it back to Keyrack's page.

        Raises:
            Unexpected: it leads nowhere.
        """
        self._tell(f"  [magenta]browser[/] opens {escape(masked_address(authorization_url))}")
        url = authorization_url
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as browser:
            for _ in range(_REDIRECTS):
                async with browser.get(url, allow_redirects=False) as answer:
                    if "location" not in answer.headers:
                        self._tell("  [magenta]browser[/] shows")
                        for line in textwrap.wrap(page_text(await answer.text()), WIDTH - len(_INDENT)):
                            self._tell(Text(_INDENT + line))
                        return
                    url = urljoin(url, answer.headers["location"])
                    self._tell(f"  [magenta]browser[/] is sent to {escape(masked_address(url))}")
        raise Unexpected("the browser was sent around in circles")

    def ask_a_person(self, authorization_url: str, *, again: bool) -> None:
        """Say where a person goes on; again after a consent that failed."""
        if again:
            self._console.print("\n  that was not it; once more, with a new address")
        self._console.print("\n  [bold magenta]Open this address in a browser[/] and sign in as alice / wonderland:")
        self._console.print(f"\n  {escape(authorization_url)}\n")
        self._console.print("  [dim]waiting for the browser to come back …[/]")

    def _tell(self, text: str | Text) -> None:
        if self._verbose:
            self._console.print(text)

    def _prompt(self, who: str, lines: Sequence[str]) -> None:
        """Print a command as a shell takes it, below the name of who gives it."""
        self._tell(Text.assemble("  ", (f"# {who}", "green")))
        for line in lines:  # not as markup: a backslash at the end would be doubled
            self._tell(Text(f"  {line}"))

    async def _send(self, who: Actor, method: str, path: str, body: Any) -> tuple[int, Any]:
        signed = {AUTHORIZATION: aiohttp.encode_basic_auth(who.name, who.api_key, encoding="utf-8")}
        async with self._http.request(method, self._base + path, json=body, headers=signed, timeout=_TIMEOUT) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    def _show(self, document: Any) -> None:
        lines = laid_out(masked(document), WIDTH - len(_INDENT)).splitlines()
        for line in shortened(lines, _MOST_LINES):
            text = Text(_INDENT + line)
            self._json.highlight(text)
            self._tell(text)
