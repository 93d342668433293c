"""Says which names there are, where somebody gave one that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches

_CLOSE = 0.8
_MAX_NAME = 100
_SHOWN = 30


def listed(known: Iterable[str]) -> str:
    """Return the names there are, for the end of a sentence: `there are admin, owner`; of very many only some."""
    names = sorted(set(known))
    shown = ", ".join(name[:_MAX_NAME] for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"there are {shown}{more}" if names else "there are none"


def close_to(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another one is almost, apart from case, `_` and `-`; None if there is none.

    It compares with each, which takes some 10 µs: callers bound how often they ask.
    """
    if len(name) > _MAX_NAME:
        return None
    plain = {_plain(each): each for each in known}
    close = get_close_matches(_plain(name), plain, n=1, cutoff=_CLOSE)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
