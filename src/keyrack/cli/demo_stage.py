"""The demo's stage: every call is shown as the `curl` line that does it, and what came back, secrets masked."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

_SECRET_MEMBERS = re.compile(r"secret|token|api_key|password|pizzavan_key|code_verifier", re.IGNORECASE)
_SECRET_SHOWN = 4
_LONGEST_ANSWER = 1400
_TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody in the story, with a user name and an API key."""

    title: str
    name: str
    api_key: str


class Unexpected(Exception):
    """A step of the story did not hold."""


class Stage:
    """Calls Keyrack and shows it."""

    def __init__(self, base: str, http: aiohttp.ClientSession, console: Console) -> None:
        self._base = base
        self._http = http
        self._console = console
        self.calls = 0

    def say(self, text: str) -> None:
        """Print what happens next, as a headline."""
        self._console.print(f"\n[bold cyan]●[/] [bold]{escape(text)}[/]")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._console.print(f"  [dim]{escape(text)}[/]")

    async def call(self, who: Role, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        """Make one API call, show it, and return the parsed answer (None for an empty one).

        Raises:
            Unexpected: the status is not the expected one.
        """
        auth = aiohttp.BasicAuth(who.name, who.api_key, encoding="utf-8")
        self._console.print(f"  [green]{escape(who.title)}[/] [dim]$[/] {escape(self._curl(who, method, path, body))}")
        async with self._http.request(method, self._base + path, json=body, auth=auth, timeout=_TIMEOUT) as answer:
            text = await answer.text()
        self.calls += 1
        document = json.loads(text) if text else None
        self._show(answer.status, document)
        if answer.status != expect:
            raise Unexpected(f"{method} {path} answered {answer.status}, not {expect}")
        return document

    def hold(self, condition: bool, claim: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Check a claim of the story and show it.

        Raises:
            Unexpected: it does not hold.
        """
        if not condition:
            raise Unexpected(claim)
        self._console.print(f"  [bold green]✓[/] {escape(claim)}")

    async def approve(self, authorization_url: str) -> str:
        """Play the browser: open the authorization URL and follow it back to Keyrack's page; return the page's text."""
        shown = _mask_query(authorization_url)
        self._console.print(f"  [magenta]browser[/] opens {escape(shown)}")
        url = authorization_url
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as browser:
            for _ in range(8):
                async with browser.get(url, allow_redirects=False) as answer:
                    if "location" not in answer.headers:
                        text = re.sub(
                            r"\s+",
                            " ",
                            re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", await answer.text(), flags=re.DOTALL),
                        )
                        self._console.print(f"  [magenta]browser[/] shows: {escape(text.strip()[:300])}")
                        return text
                    url = urljoin(url, answer.headers["location"])
        raise Unexpected("the browser was sent around in circles")

    def _curl(self, who: Role, method: str, path: str, body: Any) -> str:
        parts = ["curl", "-u", f"{who.name}:{_mask(who.api_key)}"]
        if method != "GET":
            parts += ["-X", method]
        if body is not None:
            parts += ["-H", "content-type: application/json", "-d", json.dumps(_masked(body))]
        return shlex.join([*parts, self._base + path])

    def _show(self, status: int, document: Any) -> None:
        colour = "green" if status < 400 else "yellow"  # noqa: PLR2004 - where HTTP's errors begin
        self._console.print(f"  [{colour}]{status}[/]")
        if document is None:
            return
        text = json.dumps(_masked(document), indent=2, ensure_ascii=False)
        if len(text) > _LONGEST_ANSWER:
            text = text[:_LONGEST_ANSWER] + "\n…"
        self._console.print(Syntax(text, "json", background_color="default", word_wrap=True, padding=(0, 4)))


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, name) for inner in value]
    if isinstance(value, str) and _SECRET_MEMBERS.search(name) and "{{" not in value and "://" not in value:
        return _mask(value)
    if isinstance(value, str) and "://" in value and "?" in value:
        return _mask_query(value)
    return value


def _mask(value: str) -> str:
    return f"{value[:_SECRET_SHOWN]}…" if len(value) > 2 * _SECRET_SHOWN else "…"


def _mask_query(url: str) -> str:
    parts = urlsplit(url)
    names = {"state", "code_challenge", "code"}
    shown = "&".join(
        f"{name}={_mask(values[0]) if name in names else values[0]}" for name, values in parse_qs(parts.query).items()
    )
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{shown}" if shown else url
