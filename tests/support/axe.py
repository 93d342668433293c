"""Judges a page in the browser with axe-core, for people who use a keyboard or a screen reader."""

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from support.parts import require_part, why_not_installed

if TYPE_CHECKING:
    from playwright.async_api import Page

_SCRIPT = Path(sys.prefix) / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .flatMap(each => each.nodes.map(node => `${each.id}: ${node.html.slice(0, 200)} (${node.failureSummary})`))
"""


async def grave_faults(page: "Page") -> list[str]:
    """Return what is serious or critical on a page as it is now."""
    await page.evaluate(_script())
    found: list[str] = await page.evaluate(_RUN)
    return found


@cache
def _script() -> str:
    if not _SCRIPT.exists():
        require_part("axe-core", why_not_installed("node"))
    return _SCRIPT.read_text("utf-8")
