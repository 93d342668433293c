"""The profiles that come with Keyrack, one file each in the folder `catalogue`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path

from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import profile_of

_FOLDER = Path(__file__).parent / "catalogue"


@cache
def catalogue() -> Mapping[str, ProviderProfile]:
    """Return all of them by name, sorted."""
    return {path.stem: _read(path) for path in sorted(_FOLDER.glob("*.toml"), key=attrgetter("stem"))}


def matching(search: str | None) -> list[ProviderProfile]:
    """Return those whose name or title has a text in it, whatever its case, sorted by name; all without one."""
    wanted = (search or "").casefold()
    return [each for each in catalogue().values() if wanted in each.name or wanted in each.title.casefold()]


def _read(path: Path) -> ProviderProfile:
    return profile_of({"name": path.stem, **tomllib.loads(path.read_text("utf-8"))})
