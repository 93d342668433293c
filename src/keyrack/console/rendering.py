"""Renders the console's pages. They work without JavaScript, and load one style sheet from here and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from keyrack.clock import iso
from keyrack.console.browsers import browser_name
from keyrack.console.times import exact, relative
from keyrack.visible import visible

HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Of every page: what it shows is its reader's, and nothing runs in it."""

ROWS = 25
"""Rows of a list on one page."""

_HERE = Path(__file__).parent
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Pager:
    """Where one is in a list.

    Attributes:
        name: of the parameter that says which page.
        number: of the page, from 1.
        total: rows of all pages.
    """

    name: str
    number: int
    total: int

    @property
    def pages(self) -> int:
        """How many there are, at least one."""
        return max(1, -(-self.total // ROWS))


def render(
    template: str, status: int = 200, *, headers: Mapping[str, str] | None = None, **values: Any
) -> Response[str]:
    """Return a page.

    Args:
        template: name of its template.
        status: of the answer.
        headers: further headers.
        values: for the template; `root` and `now` are needed by all.
    """
    text = _environment().get_template(template).render(style=style_name(), **values)
    said = {**HEADERS, **(headers or {})}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=said)


def shown(text: str, limit: int = _LONGEST_NAME) -> str:
    """Return a text that somebody chose, in one line, with unseen characters written out, cut to a length."""
    cut = visible(text[:limit])
    return f"{cut}…" if len(text) > limit else cut


@cache
def style() -> bytes:
    """Return the style sheet."""
    return (_HERE / "static" / "console.css").read_bytes()


@cache
def style_name() -> str:
    """Return the name of the style sheet, another one whenever it changes."""
    return f"console-{sha256(style()).hexdigest()[:16]}.css"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"shown": shown, "iso": iso, "exact": exact, "relative": relative, "browser": browser_name}
    return made
