"""Judges a page in the browser, for people who use a keyboard, a screen reader (axe-core), a phone, or the dark."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from support.hostile import MARK
from support.parts import require_part, why_not_installed

if TYPE_CHECKING:
    from playwright.async_api import Page

_SCRIPT = Path(sys.prefix) / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """
async rules => (await axe.run(document, {resultTypes: ["violations"], ...(rules ? {runOnly: rules} : {})})).violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .flatMap(each => each.nodes.map(node => `${each.id}: ${node.html.slice(0, 200)} (${node.failureSummary})`))
"""

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 640}
TOO_WIDE = """
() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .slice(-3).map(each => each.outerHTML.slice(0, 120))
"""
OF_THEMES = ["color-contrast", "link-in-text-block"]
"""Rules whose answer changes with the theme; the others are asked once at each width."""
TAKEN = f"() => [window.hostile === undefined, document.querySelectorAll('[{MARK}]').length]"


async def grave_faults(page: "Page", rules: Sequence[str] | None = None) -> list[str]:
    """Return what is serious or critical on a page as it is now.

    Args:
        page: on which axe-core is put, unless it is there already.
        rules: only these, by axe-core's names; None: all.
    """
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(_script())
    found: list[str] = await page.evaluate(_RUN, rules)
    return found


async def is_for_everybody(page: "Page", *, skips: bool = True) -> None:
    """Hold that a page has no grave fault, fits and shows names as text, at a desk and on a phone, in light and dark.

    Args:
        page: as wide as a desk, in light.
        skips: whether the first key leads past the top.
    """
    faults = [f"light, at a desk: {each}" for each in await grave_faults(page)]
    faults += [f"1280 px: {each}" for each in await page.evaluate(TOO_WIDE)]
    if skips:
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip", "the first key leads past the top"
    await page.emulate_media(color_scheme="dark")
    faults += [f"dark, at a desk: {each}" for each in await grave_faults(page, OF_THEMES)]
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    faults += [f"dark, on a phone: {each}" for each in await grave_faults(page)]
    faults += [f"360 px: {each}" for each in await page.evaluate(TOO_WIDE)]
    await page.emulate_media(color_scheme="light")
    faults += [f"light, on a phone: {each}" for each in await grave_faults(page, OF_THEMES)]
    assert not faults, "\n".join(faults)
    assert await page.evaluate(TAKEN) == [True, 0], "a name was taken for markup"
    assert await page.locator("h1").count() == 1
    assert re.findall(".{,40}\u202e", await page.inner_text("body")) == []


@cache
def _script() -> str:
    if not _SCRIPT.exists():
        require_part("axe-core", why_not_installed("node"))
    return _SCRIPT.read_text("utf-8")
