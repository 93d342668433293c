"""Component descriptors in the shapes that real components use."""

import json
from pathlib import Path
from typing import Any

_HOME = Path(__file__).parent.parent / "fixtures" / "descriptors"

NAMES = tuple(sorted(path.stem for path in _HOME.glob("*.json")))


def load(name: str) -> dict[str, Any]:
    """Return a fresh copy of a descriptor by the name of its file, without `.json`."""
    loaded: dict[str, Any] = json.loads((_HOME / f"{name}.json").read_text("utf-8"))
    return loaded
