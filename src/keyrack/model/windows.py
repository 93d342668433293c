"""A long list seen through a window: its rows beside one that was seen before, however far that is from the ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Beside(Generic[K]):
    """Which part of a list is wanted.

    Attributes:
        key: of the row beside which it is; None: the list's beginning.
        backwards: what comes before that row, instead of what comes after it.
    """

    key: K | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """Part of a list, in its order.

    Attributes:
        rows: what is in it.
        has_earlier: there are rows before them.
        has_later: there are rows after them.
    """

    rows: Sequence[T]
    has_earlier: bool
    has_later: bool


def window(found: Sequence[T], wanted: Beside[K], limit: int) -> Window[T]:
    """Return what was found as a window.

    Args:
        found: rows in the direction of reading, one more than wanted if there are as many.
        wanted: what was asked for.
        limit: how many rows are wanted at most.
    """
    rows, goes_on = found[:limit], len(found) > limit
    if wanted.backwards:
        return Window(rows[::-1], goes_on, has_later=True)
    return Window(rows, wanted.key is not None, goes_on)
