"""JSON:API documents as the contract prints them (section 4): only paths in links, absent members absent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keyrack.errors import Problem as Fault
from keyrack.errors import ValidationFailed
from keyrack.store.core.paging import After
from keyrack.turns import Turns
from keyrack.validation import fields

T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V")

Text = fields.Text
UNREADABLE = "unreadable"
"""`error_code` of what is stored encrypted and cannot be opened; only lists show it."""

NotBlank = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"\S")]


class SelfLink(msgspec.Struct, frozen=True):
    """A `links` member with the resource's own path."""

    self_: str = msgspec.field(name="self")


class RelatedLink(msgspec.Struct, frozen=True):
    """A `links` member with the path of what is related."""

    related: str


class Identifier(msgspec.Struct, frozen=True):
    """A resource identifier object."""

    id: str
    type: str


class Relationship(msgspec.Struct, frozen=True):
    """`Rel(t)` of the contract: linkage and the path of the related resource."""

    data: Identifier
    links: SelfLink


class PageMeta(msgspec.Struct, frozen=True):
    """The `meta` of a list: empty, or the paging members with the values in effect."""

    page: int | UnsetType = UNSET
    per_page: int | UnsetType = UNSET
    total: int | UnsetType = UNSET
    total_pages: int | UnsetType = UNSET


class Empty(msgspec.Struct, frozen=True):
    """An object without members."""


class Single(msgspec.Struct, Generic[T], frozen=True):
    """A document with one resource."""

    data: T
    meta: Empty = Empty()
    included: list[Any] | UnsetType = UNSET
    links: SelfLink | UnsetType = UNSET


class Many(msgspec.Struct, Generic[T], frozen=True):
    """A document with a list of resources."""

    data: list[T]
    meta: PageMeta = PageMeta()
    included: list[Any] | UnsetType = UNSET
    links: SelfLink | UnsetType = UNSET


async def each(found: Iterable[V], make: Callable[[V], R]) -> list[R]:
    """Make a resource of each; however much there is, other requests get their turn in between."""
    made: list[R] = []
    turns = Turns()
    for value in found:
        made.append(make(value))
        await turns.step()
    return made


class ErrorSource(msgspec.Struct, frozen=True):
    """What in the request is at fault: a JSON pointer into the body or a query parameter."""

    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET


class Error(msgspec.Struct, frozen=True):
    """An error object (contract section 3)."""

    status: str
    code: str
    title: str
    detail: str
    source: ErrorSource | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = UNSET


class ErrorDocument(msgspec.Struct, frozen=True):
    """What every 4xx and 5xx answers."""

    errors: list[Error]
    meta: Empty = Empty()


class NewResource(msgspec.Struct, kw_only=True):
    """Base of what a create request sends; the id a client makes up is not used (contract section 4)."""

    id: str | UnsetType = UNSET

    @property
    def given_id(self) -> str | None:
        """The id in the request, if there was one."""
        return None if self.id is UNSET else self.id


class Linkage(msgspec.Struct, Generic[T]):
    """A relationship in a request: `{"data": {"id": …, "type": …}}`; give the type as a Literal.

    A wrong type inside a linkage is 400, not 409 (contract section 4).
    """

    data: T


def related(resource_type: str, path: str, resource_id: str) -> Relationship:
    """Build `Rel(t)`: linkage to a resource and its path (`path` without the id)."""
    return Relationship(Identifier(resource_id, resource_type), SelfLink(f"{path}/{resource_id}"))


def link_self(path: str) -> SelfLink:
    """Build a `links` member with `self`."""
    return SelfLink(path)


@dataclass(frozen=True, slots=True)
class Cut:
    """A page of a list: `page[size]`, which limits how many rows are read, and `page[number]` (contract section 4)."""

    limit: int
    number: int

    @property
    def offset(self) -> int:
        """How many rows to pass over."""
        return self.limit * (self.number - 1)

    def meta(self, total: int) -> PageMeta:
        """Build the `meta` member."""
        return PageMeta(self.number, self.limit, total, -(-total // self.limit))


class Page:
    """Which part of a list is asked for (contract section 4): a page, or everything."""

    MAX_SIZE = 1000
    DEFAULT_SIZE = 50
    STRETCH = 200
    """How many rows are read at once of a list of which everything is asked for."""

    def __init__(self, size: int | None, number: int | None = None) -> None:
        self._size = size
        self._number = number
        everything = size is None and number is None
        self._cut = None if everything else self.or_default(self.DEFAULT_SIZE)

    @classmethod
    def parse(cls, size: str | None, number: str | None) -> "Page":
        """Read the two query parameters.

        Args:
            size: `page[size]` as given, 1..1000; without it and a number everything is returned.
            number: `page[number]` as given, at least 1.

        Raises:
            ValidationFailed: not whole numbers in range; sizes are never clamped.
        """
        problems = []
        sizes = None if size is None else _whole(size, 1, cls.MAX_SIZE)
        numbers = None if number is None else _whole(number, 1, 1 << 31)
        if size is not None and sizes is None:
            problems.append(
                Fault(f"page[size] must be a whole number from 1 to {cls.MAX_SIZE}", parameter="page[size]")
            )
        if number is not None and numbers is None:
            problems.append(Fault("page[number] must be a whole number from 1", parameter="page[number]"))
        if problems:
            raise ValidationFailed(*problems)
        return cls(sizes, numbers)

    def or_default(self, size: int) -> Cut:
        """Return the page of a list that is always cut into pages (contract section 4), by default of this size."""
        return Cut(self._size or size, self._number or 1)

    @property
    def limit(self) -> int:
        """How many rows to read at once."""
        return self.STRETCH if self._cut is None else self._cut.limit

    @property
    def offset(self) -> int | After:
        """How many rows to pass over; where everything is asked for, the beginning."""
        return After() if self._cut is None else self._cut.offset

    def goes_on(self, found: Sequence[object]) -> bool:
        """Tell whether what was found may not be all that is asked for."""
        return self._cut is None and len(found) == self.STRETCH

    def meta(self, total: int) -> PageMeta:
        """Build the `meta` member; empty where everything is asked for."""
        return PageMeta() if self._cut is None else self._cut.meta(total)


def _whole(text: str, least: int, most: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):  # noqa: PLR2004 - digits of 2**31
        return None
    value = int(text)
    return value if least <= value <= most else None
