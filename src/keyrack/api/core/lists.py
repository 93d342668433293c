"""Answers with lists: encoded and sent in slices, so that none is a large piece of memory or time (contract section 4).

A list that fits into one slice is sent as any other answer. Of a longer one only a slice is encoded at a time, and the
next when the caller has taken the last. A `Deferred` list is not even read as a whole.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.serialization import encode_json, get_serializer
from msgspec import UNSET, UnsetType

from keyrack.api.core.jsonapi import Many, Page, PageMeta, SelfLink
from keyrack.api.core.jsonapi import each as each_of
from keyrack.fair_share import FairSlots, asking_for
from keyrack.store.core.paging import After
from keyrack.turns import Turns

T = TypeVar("T")
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

SLICE_BYTES = 64 * 1024
"""From how many bytes on a slice is sent. It is longer by what the resource that filled it has."""

_SLICES_MADE = FairSlots(4)
"""Of the process: slices of long lists that are made at the same time. Each takes its turns in the event loop, so that
others wait for as many of them; a tenant that asks for many lists at once waits for its own."""


class Deferred(Generic[T]):
    """A list whose resources are made one after another while it is sent.

    What may refuse the request must have been judged before: the answer has begun when the first one is asked for.

    Args:
        data: the resources.
        meta: of the list; its total was true when the list was made, though a resource be deleted before it is sent.
        included: other resources, made in the same way after the first ones.
        links: of the list.

    Whatever making a resource raises ends the answer in its midst: the connection is closed before the last chunk, so
    that no caller takes it for whole.
    """

    def __init__(
        self,
        data: AsyncIterable[T],
        meta: PageMeta,
        included: AsyncIterable[Any] | UnsetType = UNSET,
        links: SelfLink | UnsetType = UNSET,
    ) -> None:
        self.data = data
        self.meta = meta
        self.included = included
        self.links = links

    @property
    def document(self) -> Many[T]:
        """The list, as what a handler says it returns."""
        return cast("Many[T]", self)


async def one_by_one(found: Iterable[T]) -> AsyncIterator[T]:
    """Yield what is there already."""
    for each in found:
        yield each


class Read(Protocol[P_co]):
    """Reads a page or a stretch of a list, if the caller may see it: a use case, as far as it knows what is asked for.

    It returns what it found, and the number of all, which is told of a page only.
    """

    def __call__(self, *, limit: int, offset: int | After) -> Awaitable[tuple[Sequence[P_co], int]]:
        """Read."""


async def listed(
    found: Sequence[P],
    make: Callable[[P], T],
    meta: PageMeta,
    whole: Callable[[Sequence[P]], AsyncIterable[P]] | None = None,
    links: SelfLink | UnsetType = UNSET,
) -> Many[T]:
    """Return a list as a document; one of which something was left out is read while it is sent.

    Args:
        found: all of it.
        make: makes a resource.
        meta: of the list.
        whole: yields what was found with what was left out (`keyrack.store.core.large_columns`); None: nothing is.
        links: of the list.
    """
    if whole is not None and any(getattr(each, "left_out", 0) for each in found):
        return Deferred((make(each) async for each in whole(found)), meta, links=links).document
    return Many(await each_of(found, make), meta, links=links)


async def read_list(
    page: Page,
    read: Read[P],
    make: Callable[[P], T],
    *,
    key: Callable[[P], str | int] = attrgetter("id"),
    whole: Callable[[Sequence[P]], AsyncIterable[P]] | None = None,
    links: SelfLink | UnsetType = UNSET,
) -> Many[T]:
    """Read a page of a list, or everything, and return it as a document; what is long is read while it is sent.

    Args:
        page: what is asked for.
        read: reads it.
        make: makes a resource.
        key: what the list is in the order of, for `After`.
        whole: as for `listed`.
        links: of the list.
    """
    found, total = await read(limit=page.limit, offset=page.offset)
    if not page.goes_on(found):
        return await listed(found, make, page.meta(total), whole, links)
    every = entries(stretches(page, found, read, key), whole)
    return Deferred((make(each) async for each in every), page.meta(total), links=links).document


async def stretches(
    page: Page, found: Sequence[P], read: Read[P], key: Callable[[P], str | int] = attrgetter("id")
) -> AsyncIterator[Sequence[P]]:
    """Yield what was found of a list, and, if everything is asked for, the rest of it in stretches.

    Each is read in a unit of its own, which nobody holds while the caller takes what is sent. The caller's permission
    is judged for each: who loses it in the midst gets an answer that is cut off.
    """
    yield found
    while page.goes_on(found):
        found, _ = await read(limit=page.limit, offset=After(key(found[-1])))
        yield found


async def entries(
    found: AsyncIterable[Sequence[P]], whole: Callable[[Sequence[P]], AsyncIterable[P]] | None = None
) -> AsyncIterator[P]:
    """Yield the entries of stretches one by one, with what was left out of them."""
    async for stretch in found:
        async for each in one_by_one(stretch) if whole is None else whole(stretch):
            yield each


class DocumentResponse(Response[Any]):
    """What handlers return: a document; lists in slices."""

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **more: Any) -> ASGIResponse:
        """Make the response that the framework sends."""
        encoders = {**(more.get("type_encoders") or {}), **(self.response_type_encoders or {})}
        content, serializer = self.content, get_serializer(encoders)
        if isinstance(content, Deferred):
            return self._streamed(_sliced(_deferred_pieces(content, serializer)), more)
        if not isinstance(content, Many):
            return super().to_asgi_response(app, request, **more)
        pieces = _pieces(content, serializer)
        first, size = [], 0
        for piece in pieces:
            first.append(piece)
            size += len(piece)
            if size >= SLICE_BYTES:
                return self._streamed(_sliced(_after(b"".join(first), pieces)), more)
        self.content = msgspec.Raw(b"".join(first))
        return super().to_asgi_response(app, request, **more)

    def _streamed(self, slices: AsyncIterator[bytes], more: dict[str, Any]) -> ASGIResponse:
        return ASGIStreamingResponse(
            iterator=slices,
            background=self.background or more.get("background"),
            cookies=[*self.cookies, *(more.get("cookies") or ())],
            encoded_headers=more.get("encoded_headers"),
            headers={**(more.get("headers") or {}), **self.headers},
            is_head_response=more.get("is_head_response", False),
            media_type="application/json",
            status_code=self.status_code or more.get("status_code"),
        )


def _pieces(content: Many[Any], serializer: Any) -> Iterator[bytes]:
    """Encode a list piece by piece; together the pieces are what encoding it at once gives."""
    yield b'{"data":['
    yield from _items(content.data, serializer)
    yield b'],"meta":' + encode_json(content.meta, serializer)
    if content.included is not UNSET:
        yield b',"included":['
        yield from _items(content.included, serializer)
        yield b"]"
    if content.links is not UNSET:
        yield b',"links":' + encode_json(content.links, serializer)
    yield b"}"


def _items(resources: Iterable[Any], serializer: Any) -> Iterator[bytes]:
    comma = b""
    for resource in resources:
        yield comma + encode_json(resource, serializer)
        comma = b","


async def _deferred_pieces(content: Deferred[Any], serializer: Any) -> AsyncIterator[bytes]:
    yield b'{"data":['
    async for piece in _later(content.data, serializer):
        yield piece
    yield b'],"meta":' + encode_json(content.meta, serializer)
    if content.included is not UNSET:
        yield b',"included":['
        async for piece in _later(content.included, serializer):
            yield piece
        yield b"]"
    if content.links is not UNSET:
        yield b',"links":' + encode_json(content.links, serializer)
    yield b"}"


async def _later(resources: AsyncIterable[Any], serializer: Any) -> AsyncIterator[bytes]:
    comma = b""
    async for resource in resources:
        yield comma + encode_json(resource, serializer)
        comma = b","


async def _after(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    for piece in pieces:
        yield piece


async def _sliced(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Put small pieces together, and let others have their turn.

    Whoever makes a slice holds a place, also while it reads from the database, but not while the caller takes it.
    """
    whole = False
    while not whole:
        async with _SLICES_MADE.place(asking_for.get()):
            made, whole = await _slice(pieces)
        yield made


async def _slice(pieces: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """Return the next slice, and whether it is the last."""
    held, size, turns = list[bytes](), 0, Turns()
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= SLICE_BYTES:
            return b"".join(held), False
        await turns.step()
    return b"".join(held), True
