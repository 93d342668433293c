"""Compares a request with what a profile says of it: everything that differs is named, with the place that says it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyrack.oauth.profiles.kinds import BodyFormat
from keyrack.simulator.twin.received import FORM, JSON, Pair, Received, Unreadable, members_of, pairs_of

_OF_EVERY_REQUEST = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "content-type"}
)
"""Headers that say how a message travels; a profile need not name them."""
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in a request that is not as the profile says.

    Attributes:
        request: which: `authorization`, `token`, `refresh` and so on.
        what: what differs, in words.
        pointer: the member of the profile that decides it (RFC 6901).
    """

    request: str
    what: str
    pointer: str

    def __str__(self) -> str:
        """The whole of it, in one line."""
        return f"{self.request} request: {self.what} ({self.pointer})"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a parameter or header must be.

    Attributes:
        pointer: the member of the profile that says so.
        value: the only value; None: whatever `fits`.
        fits: returns what is wrong with a value, None if nothing is.
        optional: whether it may be missing.
        secret: whether its value is not shown.
    """

    pointer: str
    value: Any = field(default=None, repr=False)
    fits: Callable[[Any], str | None] | None = None
    optional: bool = False
    secret: bool = False

    def problem(self, got: Any) -> str | None:
        """Return what is wrong with a value; None if nothing is."""
        if self.fits is not None:
            return self.fits(got)
        if type(got) is type(self.value) and got == self.value:
            return None
        return "has another value" if self.secret else f"is {shown(got)} and should be {shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a request must be.

    Attributes:
        request: which one.
        pointer: the part of the profile that is about it.
        method: of HTTP.
        address: without its query.
        own_query: what the address has in its query by itself.
        body: how parameters are written.
        parameters: by name; there may be no others.
        headers: by name in lower case; no others but those of every request.
        certificate: that has to be shown in TLS, in DER; None: the request does without.
        hidden: a secret that may be in the address.
    """

    request: str
    pointer: str
    method: str
    address: str
    own_query: Sequence[Pair]
    body: BodyFormat
    parameters: Mapping[str, Expected]
    headers: Mapping[str, Expected]
    certificate: bytes | None = field(default=None, repr=False)
    hidden: str = field(default="", repr=False)

    def differences(self, received: Received) -> list[Difference]:
        """Return what of a request is not as it should be; nothing if all is."""
        found: list[Difference] = []

        def differs(what: str, pointer: str) -> None:
            found.append(Difference(self.request, what, pointer))

        for what, pointer in self._way_differs(received):
            differs(what, pointer)
        try:
            sent, query = self._sent(received)
        except Unreadable as wrong:
            differs(str(wrong), f"{self.pointer}/body")
            return found
        if [(each.name, each.value) for each in query] != [(each.name, each.value) for each in self.own_query]:
            names = ", ".join(each.name for each in query) or "nothing"
            differs(
                f"the address has {names} in its query, and should have its own query alone", f"{self.pointer}/body"
            )
        if not self._in_query and received.body:
            wanted = JSON if self.body is BodyFormat.JSON else FORM
            kind = (received.header("content-type") or "").partition(";")[0].strip()
            if kind != wanted:
                differs(f"the body is of type {kind or 'none'} and should be {wanted}", f"{self.pointer}/body")
        for what, pointer in differing("the parameter", self.parameters, sent, f"{self.pointer}/parameters"):
            differs(what, pointer)
        headers = [Pair(name, value) for name, value in received.headers if self._counts(name)]
        for what, pointer in differing("the header", self.headers, headers, f"{self.pointer}/headers"):
            differs(what, pointer)
        return found

    def shown(self, received: Received) -> dict[str, Any]:
        """Return a request as it can be shown: secrets are masked, and what is not expected may be one."""
        try:
            sent, query = self._sent(received)
        except Unreadable:
            sent, query = [], []
        headers = [Pair(name, value) for name, value in received.headers if self._counts(name)]
        return {
            "request": self.request,
            "method": received.method,
            "address": received.address.replace(self.hidden, "***") if self.hidden else received.address,
            **({"own_query": masked(query, {pair.name: Expected("", pair.value) for pair in query})} if query else {}),
            "body": "query" if self._in_query else self.body.value,
            "parameters": masked(sent, self.parameters),
            **({"headers": masked(headers, self.headers)} if headers else {}),
            **({} if received.certificate is None else {"certificate": "shown"}),
        }

    def _way_differs(self, received: Received) -> Iterator[tuple[str, str]]:
        """Yield what differs of how a request came, and the member of the profile that decides it."""
        if received.method != self.method:
            yield f"the method is {received.method} and should be {self.method}", f"{self.pointer}/method"
        if received.address != self.address:
            yield f"it went to {received.address} and not to {self.address}", "/endpoints"
        if self.certificate is not None and received.certificate != self.certificate:
            shown = "no certificate" if received.certificate is None else "another certificate than the client's"
            yield f"{shown} is shown in TLS", "/client_authentication"

    @property
    def _in_query(self) -> bool:
        return self.method in {"GET", "DELETE"} or self.body is BodyFormat.QUERY

    def _counts(self, header: str) -> bool:
        return header in self.headers or header not in _OF_EVERY_REQUEST

    def _sent(self, received: Received) -> tuple[list[Pair], list[Pair]]:
        """Return the parameters, and what else the query has.

        Raises:
            Unreadable: they cannot be read.
        """
        query = pairs_of(received.query)
        if self._in_query:
            if received.body:
                raise Unreadable("there is a body, and should be none")
            own = len(self.own_query)
            return query[own:], query[:own]
        if self.body is BodyFormat.JSON:
            return members_of(received.body), query
        try:
            return pairs_of(received.body.decode()), query
        except UnicodeDecodeError:
            raise Unreadable("the body is not UTF-8") from None


def differing(
    kind: str, expected: Mapping[str, Expected], sent: Sequence[Pair], pointer: str
) -> Iterator[tuple[str, str]]:
    """Yield what of some named values is not as it should be, and the member of the profile that decides it.

    Args:
        kind: what they are, in words.
        expected: what should be there, by name.
        sent: what is there.
        pointer: where the profile would name further ones.
    """
    names = [each.name for each in sent]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{kind} {name} is sent more than once", pointer
    for each in sent:
        said = expected.get(each.name)
        if said is None:
            yield f"{kind} {each.name} is sent, and the profile does not ask for it", f"{pointer}/{each.name}"
        elif (problem := said.problem(each.value)) is not None:
            yield f"{kind} {each.name} {problem}", said.pointer
    for name, said in expected.items():
        if name not in names and not said.optional:
            yield f"{kind} {name} is missing", said.pointer


def masked(sent: Sequence[Pair], expected: Mapping[str, Expected]) -> dict[str, Any]:
    """Return named values, those that are secret or not expected without their text."""
    known = {name for name, said in expected.items() if not said.secret}
    return {each.name: each.value if each.name in known else "***" for each in sent}


def shown(value: Any) -> str:
    """Return a value as it is shown in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
