"""Pages of lists: which one is asked for, by what it is narrowed, and the addresses of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

AFTER, BEFORE = "after", "before"
"""Parameters that say beside which row of a long list one is."""

ROWS = 25
"""Rows of a list on one page."""
SOME_MEMBERS = 100
"""Of how many members of a place a page knows; of more it says that there are as many or more."""


@dataclass(frozen=True, slots=True)
class Pager:
    """Where one is in a list.

    Attributes:
        name: of the parameter that says which page.
        number: of the page, from 1.
        total: rows of all pages.
        kept: the other parameters of the address, such as filters, which the links to other pages keep.
    """

    name: str
    number: int
    total: int
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        """How many there are, at least one."""
        return max(1, -(-self.total // ROWS))

    def query(self, number: int) -> str:
        """Return the query of the address of another page."""
        return urlencode({**self.kept, self.name: str(number)})


@dataclass(frozen=True, slots=True)
class Turner:
    """The parts of a long list beside the one that is shown; nobody counts how many there are.

    Attributes:
        earlier: query of the address of the part before it; None: it is the first one.
        later: query of the address of the part after it; None: it is the last one.
        first: query of the address of the list's beginning.
    """

    earlier: str | None
    later: str | None
    first: str


def offset_of(number: int) -> int:
    """Return how many rows come before a page."""
    return (number - 1) * ROWS
