"""Browsers: a real Chromium, the machine's own, driven by Playwright; and a person's without scripts."""

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx2
import pytest

from support.consent import CALLBACK
from support.parts import require_part, why_not_installed

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def program() -> str | None:
    """Return the browser's program: named by CHROMIUM, else the first one installed; None if there is none."""
    named = os.environ.get("CHROMIUM")
    found = (shutil.which(each) for each in ([named] if named else CANDIDATES))
    return next((path for path in found if path is not None), None)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser's program."""
    named = os.environ.get("CHROMIUM")
    why = f"CHROMIUM names {named!r}, which is no program"
    if not named:
        why = f"none of {', '.join(CANDIDATES)} is installed and CHROMIUM is not set"
    return program() or require_part("chromium", why)


@pytest.fixture(scope="session")
async def browser(chromium_path: str) -> "AsyncIterator[Browser]":
    """A headless browser with a profile of its own that is deleted with it."""
    if importlib.util.find_spec("playwright") is None:
        require_part("browser", why_not_installed("browser"))
    from playwright.async_api import Error, async_playwright  # noqa: PLC0415  # it may be missing

    async with async_playwright() as playwright:
        # Chromium refuses its sandbox to root, and some containers refuse it to everyone. The pages are all ours.
        for sandbox in (False,) if os.geteuid() == 0 else (True, False):
            try:
                running = await playwright.chromium.launch(
                    executable_path=chromium_path, args=list(FLAGS), chromium_sandbox=sandbox
                )
            except Error as error:
                failure = str(error).partition("\n")[0]
            else:
                break
        else:
            require_part("chromium", f"{chromium_path} does not start: {failure}")
        yield running
        await running.close()


@pytest.fixture
async def page(browser: "Browser") -> "AsyncIterator[Page]":
    """A blank page without cookies of other tests."""
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    yield await context.new_page()
    await context.close()


class _Reader(HTMLParser):
    """Gathers the forms and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given.get("action", ""), {}))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "input" and given.get("name") and given.get("type") != "submit" and self.forms:
            self.forms[-1][1][given["name"]] = given.get("value", "")


class Person:
    """Goes from page to page until the authorization server sends the browser back to Keyrack.

    Attributes:
        callback: the callback's address, once there.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._page: httpx2.Response | None = None
        self.callback: str | None = None

    @property
    def text(self) -> str:
        """What the page says, as HTML."""
        assert self._page is not None
        return self._page.text

    async def open(self, address: str) -> None:
        await self._follow(await self._http.get(address))

    async def submit(self, **values: str) -> None:
        """Fill in the only form of the page and send it; what the form has already is sent along."""
        assert self._page is not None
        ((action, fields),) = _Reader(self.text).forms
        address = urljoin(str(self._page.url), action)
        await self._follow(await self._http.post(address, data=fields | values))

    async def click(self, ending: str) -> None:
        """Follow the link whose address ends so."""
        assert self._page is not None
        (link,) = (link for link in _Reader(self.text).links if link.endswith(ending))
        await self.open(urljoin(str(self._page.url), link))

    async def _follow(self, response: httpx2.Response) -> None:
        for _ in range(10):
            if "location" not in response.headers:
                assert response.status_code == 200, response.text
                self._page = response
                return
            location = urljoin(str(response.url), response.headers["location"])
            if location.startswith(CALLBACK):
                self.callback = location
                return
            response = await self._http.get(location)
        raise AssertionError("sent around in circles")


@asynccontextmanager
async def person() -> AsyncIterator[Person]:
    """Let somebody sit down at a browser without cookies."""
    async with httpx2.AsyncClient() as http:
        yield Person(http)
