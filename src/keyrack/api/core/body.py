"""Reads request bodies: strict JSON first, checked against a type later.

The contract wants permissions judged before the body's content (section 3, evaluation order) and all invalid fields
reported together. So a handler receives an `UnvalidatedBody[T]`, parsed but not judged, and hands the use case an
`Unvalidated[Command]` made of it, which is validated once the caller is authorised.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from keyrack.errors import BadRequest, IdConflict, NotAcceptable, Problem, TypeConflict, ValidationFailed
from keyrack.validation.check import misshapen
from keyrack.validation.strict_json import parse_json
from keyrack.validation.unvalidated import Unvalidated

T = TypeVar("T")
R = TypeVar("R")

MAX_BODY_BYTES = 1 << 20
PARSED_AT_ONCE = 64 * 1024
"""Bytes of a body that hold the event loop for some 10 ms at most, whatever they say."""
_JSON_TYPES = {"", "application/json", "application/vnd.api+json"}
_TYPE_POINTER = "/data/type"


class UnvalidatedBody(Generic[T]):
    """A parsed JSON body that has not been compared with its type yet."""

    def __init__(self, raw: object, expected: Any) -> None:
        self.raw = raw
        self._expected = expected

    @property
    def named_attributes(self) -> frozenset[str]:
        """The names in `/data/attributes`, for use cases that judge a permission for each before the body."""
        data = self.raw.get("data") if isinstance(self.raw, dict) else None
        attributes = data.get("attributes") if isinstance(data, dict) else None
        return frozenset(attributes) if isinstance(attributes, dict) else frozenset()

    def validated(self) -> T:
        """Compare the body with its type and return it typed.

        Raises:
            TypeConflict: `/data/type` names another resource type than this endpoint's (contract section 4).
            ValidationFailed: with one problem for every member at fault.
        """
        problems = misshapen(self.raw, self._expected)
        if not problems:
            typed: T = msgspec.convert(self.raw, self._expected)
            return typed
        of_type = next((problem for problem in problems if problem.pointer == _TYPE_POINTER), None)
        if of_type is not None and _has_text_type(self.raw):
            raise TypeConflict(of_type.detail, pointer=_TYPE_POINTER)
        raise ValidationFailed(*problems)

    def validated_as(self, stricter: type[R]) -> R:
        """Compare the body with another, stricter type: for bodies that keep members no type names.

        Raises:
            TypeConflict, ValidationFailed: as `validated`.
        """
        return UnvalidatedBody[R](self.raw, stricter).validated()

    def then(self, make: Callable[[T], R]) -> Unvalidated[R]:
        """Return the value that `make` will make of the body once the body is validated.

        Args:
            make: may find faults of its own, and then raises them.
        """
        return Unvalidated(lambda: make(self.validated()))


def or_none(given: R | msgspec.UnsetType) -> R | None:
    """Return what a member of a body holds, or None if the member is absent."""
    return None if given is msgspec.UNSET else given


def require_id(given: str | msgspec.UnsetType, path_id: str, *, required: bool = False) -> None:
    """Compare an id in a body with the one in the path (contract section 4).

    Raises:
        ValidationFailed: it is required and missing.
        IdConflict: it is another.
    """
    if given is msgspec.UNSET:
        if required:
            raise ValidationFailed(Problem("id is required", "/data/id"))
    elif given != path_id:
        raise IdConflict("the id in the body is not the one in the path", pointer="/data/id")


def _has_text_type(raw: object) -> bool:
    data = raw.get("data") if isinstance(raw, dict) else None
    return isinstance(data, dict) and isinstance(data.get("type"), str)


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is JSON, read strictly (contract section 1)."""

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            NotAcceptable: it is not declared as JSON.
            BadRequest: there is none.
        """
        content = await self._received()
        if not content:
            raise BadRequest("a JSON body is required")
        self._require_json()
        return content

    async def action(self) -> None:
        """Judge the body of an action, which may have none: no body, an empty one or `{}` (contract section 1).

        Raises:
            NotAcceptable: it is not declared as JSON.
            BadRequest: it is not JSON, or no object.
        """
        content = await self._received()
        if not content:
            return
        self._require_json()
        if len(content) > PARSED_AT_ONCE:
            raise BadRequest("the body of an action is empty or an object")
        if not isinstance(parse_json(content), dict):
            raise BadRequest("the body of an action is empty or an object")

    async def _received(self) -> bytes:
        try:
            return await super().body()
        except InternalServerException:  # what the framework makes of a client that leaves; no fault of ours
            raise BadRequest("the connection was closed before the whole body arrived") from None

    def _require_json(self) -> None:
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _JSON_TYPES:
            raise NotAcceptable(f"a request body must be application/json, not {media_type[:60]!r}")

    async def json(self) -> Any:
        """Return the parsed body; see `parse_json`. A large one is parsed in a thread: it may take 0.2 s."""
        content = await self.body()
        if len(content) <= PARSED_AT_ONCE:
            return parse_json(content)
        return await asyncio.to_thread(parse_json, content)


def is_unvalidated_body(annotation: Any) -> bool:
    """Tell whether an annotation is `UnvalidatedBody[...]`."""
    return get_origin(annotation) is UnvalidatedBody


def make_unvalidated_body(annotation: Any, raw: Any) -> UnvalidatedBody[Any]:
    """Wrap a parsed body for a handler; the framework's decoder hook."""
    return UnvalidatedBody(raw, get_args(annotation)[0])
