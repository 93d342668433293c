"""Answers with lists: encoded and sent in slices, so that none is a large piece of memory or time (contract section 4).

A list that fits into one slice is sent as any other answer. Of a longer one only a slice is encoded at a time, and the
next when the caller has taken the last. A `Deferred` list is not even read as a whole.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.serialization import encode_json, get_serializer
from msgspec import UNSET, UnsetType

from keyrack.api.core.jsonapi import Many, PageMeta, SelfLink
from keyrack.api.core.jsonapi import each as each_of
from keyrack.turns import Turns

T = TypeVar("T")

SLICE_BYTES = 64 * 1024
"""From how many bytes on a slice is sent. It is longer by what the resource that filled it has."""


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


async def one_by_one(resources: Iterable[T]) -> AsyncIterator[T]:
    """Yield resources that are made already, for a `Deferred` list."""
    for resource in resources:
        yield resource


class Partial(Protocol):
    """Something a list may have found in part."""

    @property
    def left_out(self) -> int:
        """Bytes of what was left out for now; 0: it is whole."""


P = TypeVar("P", bound=Partial)


async def listed(
    found: Sequence[P],
    make: Callable[[P], T],
    meta: PageMeta,
    whole: Callable[[Sequence[P]], AsyncIterable[P]],
    links: SelfLink | UnsetType = UNSET,
) -> Many[T]:
    """Return a list as a document; one of which something was left out is read while it is sent.

    Args:
        found: of the page.
        make: makes a resource.
        meta: of the list.
        whole: yields what was found with what was left out (`keyrack.store.core.large_columns`).
        links: of the list.
    """
    if any(each.left_out for each in found):
        return Deferred((make(each) async for each in whole(found)), meta, links=links).document
    return Many(await each_of(found, make), meta, links=links)


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
    """Put small pieces together, and let others have their turn."""
    held, size, turns = list[bytes](), 0, Turns()
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= SLICE_BYTES:
            yield b"".join(held)
            held, size = [], 0
        await turns.step()
    yield b"".join(held)
