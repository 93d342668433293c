"""Reads requests strictly, and refuses them in one way."""

from collections.abc import Iterable
from urllib.parse import parse_qsl

from aiohttp import web

from keyrack.simulator.behaviour import Overrides, parse_sim
from keyrack.simulator.state import State

STATE: web.AppKey[State] = web.AppKey("state", State)

FORM = "application/x-www-form-urlencoded"
MAX_BODY = 64 * 1024
_MAX_FIELDS = 100
_MAY_REPEAT = frozenset({"resource", "audience"})


class Refusal(Exception):
    """An OAuth error answer (RFC 6749 sections 4.1.2.1 and 5.2)."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


def single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name; one without a value counts as left out (RFC 6749 section 3.1).

    Raises:
        Refusal: a parameter is repeated or is not Unicode text.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if not value or (name in found and name in _MAY_REPEAT):
            continue
        if name in found:
            raise Refusal("invalid_request", "a parameter is repeated")
        if not (name + value).isascii():
            _require_unicode(name + value)
        found[name] = value
    return found


def _require_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("invalid_request", "a parameter is not Unicode text") from None


async def read_form(request: web.Request) -> dict[str, str]:
    """Read a form-encoded body.

    Raises:
        Refusal: it is not one.
        web.HTTPRequestEntityTooLarge: it is larger than `MAX_BODY`.
    """
    body = await request.read()
    if request.content_type != FORM:
        raise Refusal("invalid_request", f"the body must be {FORM}")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise Refusal("invalid_request", "the body is not well formed") from None
    return single(pairs)


def sim_of(request: web.Request) -> Overrides:
    """Return the behaviour asked for by the query parameter `sim`.

    Raises:
        web.HTTPBadRequest: it is not understood; the text says what.
    """
    if not request.query_string:
        return {}
    try:
        return parse_sim(",".join(request.query.getall("sim", [])))
    except ValueError as exc:
        raise web.HTTPBadRequest(text=f"sim: {exc}\n") from None
