"""Judges a page in the browser with axe-core, for people who use a keyboard or a screen reader."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from support.parts import require_part, why_not_installed

if TYPE_CHECKING:
    from playwright.async_api import Page

_SCRIPT = Path(sys.prefix) / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """
async rules => (await axe.run(document, {resultTypes: ["violations"], ...(rules ? {runOnly: rules} : {})})).violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .flatMap(each => each.nodes.map(node => `${each.id}: ${node.html.slice(0, 200)} (${node.failureSummary})`))
"""


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


@cache
def _script() -> str:
    if not _SCRIPT.exists():
        require_part("axe-core", why_not_installed("node"))
    return _SCRIPT.read_text("utf-8")
