"""Renders the console's pages. They work without JavaScript, and load nothing from elsewhere."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from keyrack.clock import iso
from keyrack.console.core.browsers import browser_name
from keyrack.console.core.static_files import file_name
from keyrack.console.core.times import exact, relative
from keyrack.visible import visible

HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Of every page: what it shows is its reader's, and nothing runs in it but our own files."""

_HERE = Path(__file__).parent.parent
_LONGEST_NAME = 120


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
    text = _environment().get_template(template).render(**values)
    said = {**HEADERS, **(headers or {})}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=said)


def shown(text: str, limit: int = _LONGEST_NAME) -> str:
    """Return a text that somebody chose, in one line, with unseen characters written out, cut to a length."""
    cut = visible(text[:limit])
    return f"{cut}…" if len(text) > limit else cut


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"shown": shown, "iso": iso, "exact": exact, "relative": relative, "browser": browser_name}
    made.globals["file"] = file_name
    return made
