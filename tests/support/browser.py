"""A real Chromium, the machine's own, driven by Playwright."""

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser's program: named by CHROMIUM, else the first one installed."""
    named = os.environ.get("CHROMIUM")
    if named:
        if shutil.which(named) is None:
            require_part("chromium", f"CHROMIUM names {named!r}, which is no program")
        return named
    for candidate in CANDIDATES:
        path = shutil.which(candidate)
        if path is not None:
            return path
    return require_part("chromium", f"none of {', '.join(CANDIDATES)} is installed and CHROMIUM is not set")


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
