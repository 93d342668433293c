"""The files that pages load: style sheet, scripts and icon, each under a name that changes with its content."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

_HERE = Path(__file__).parent.parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = ("console.css", "console.js", "htmx-2.0.11.min.js", "mark.svg")


def file_name(name: str) -> str:
    """Return the name under which a file is served, another one whenever it changes."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}-{sha256(_content(name)).hexdigest()[:16]}.{ending}"


@cache
def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Return content and media type of each file, by the name under which it is served."""
    return {file_name(name): (_content(name), _TYPES[Path(name).suffix]) for name in _FILES}


@cache
def _content(name: str) -> bytes:
    return (_HERE / name).read_bytes()
