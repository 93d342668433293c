"""Holds grants, codes and tokens in memory, bounded: what was issued to whom, and what still works."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeVar

from keyrack.clock import Clock
from keyrack.simulator.behaviour import Behaviour, Overrides

Kind = Literal["access", "refresh"]
TokenState = Literal["active", "rotated", "expired", "revoked"]

V = TypeVar("V")


@dataclass(slots=True)
class Grant:
    """What one authorization allowed; the family of all tokens that come of it.

    Attributes:
        id: names the family.
        client_id: whose it is.
        login: the user who allowed it; empty for client credentials.
        scope: granted scope values, separated by blanks.
        parameters: the authorization request's parameters.
        overrides: behaviour chosen on the authorization URL.
        refreshes: how often it was refreshed.
        in_flight: refreshes being handled now.
        parallel_peak: the most refreshes ever handled at the same time; above 1, the caller did not
            keep to one refresh at a time.
        revoked: why it no longer works, or empty.
    """

    id: str
    client_id: str
    login: str
    scope: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    overrides: Overrides = field(default_factory=dict)
    refreshes: int = 0
    in_flight: int = 0
    parallel_peak: int = 0
    revoked: str = ""


@dataclass(slots=True)
class Token:
    """One issued token; times are seconds since 1970. `long_lived` ones were exchanged for a short-lived one.

    `jkt` is the thumbprint of the key that it is bound to, empty if it is bound to none (RFC 9449 section 6).
    """

    value: str = field(repr=False)
    kind: Kind
    grant: Grant
    scope: str
    issued_at: float
    expires_at: float | None
    rotated_at: float | None = None
    revoked: bool = False
    long_lived: bool = False
    jkt: str = ""

    def state(self, now: float) -> TokenState:
        """Tell whether it works: only `active` does."""
        if self.revoked or self.grant.revoked:
            return "revoked"
        if self.rotated_at is not None:
            return "rotated"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"


@dataclass(slots=True)
class Code:
    """An authorization code (RFC 6749 section 4.1.2)."""

    grant: Grant
    redirect_uri: str
    redirect_uri_sent: bool
    challenge: str
    expires_at: float
    used: bool = False


class TokenBook:
    """Issues, finds and ends tokens.

    Args:
        clock: what time it is.
        cap: how many codes, grants and tokens of each kind are kept; the oldest go first, rotated refresh
            tokens in a room of their own so that they never crowd out living ones.
    """

    def __init__(self, clock: Clock, cap: int) -> None:
        self._clock = clock
        self._cap = cap
        self.grants: OrderedDict[str, Grant] = OrderedDict()
        self._codes: OrderedDict[str, Code] = OrderedDict()
        self._access: OrderedDict[str, Token] = OrderedDict()
        self._refresh: OrderedDict[str, Token] = OrderedDict()
        self._spent: OrderedDict[str, Token] = OrderedDict()

    def now(self) -> float:
        """Return the current time in seconds since 1970."""
        return self._clock().timestamp()

    def open_grant(
        self,
        client_id: str,
        login: str,
        scope: str,
        parameters: Mapping[str, str] | None = None,
        overrides: Overrides | None = None,
    ) -> Grant:
        """Start a family."""
        grant = Grant(secrets.token_hex(8), client_id, login, scope, parameters or {}, overrides or {})
        dropped = self._keep(self.grants, grant.id, grant)
        if dropped is not None:
            dropped.revoked = "forgotten: the simulator keeps a bounded number of grants"
        return grant

    def issue_code(self, grant: Grant, redirect_uri: str, *, sent: bool, challenge: str, lifetime: int) -> str:
        """Return a new code for a grant."""
        value = secrets.token_urlsafe(24)
        code = Code(grant, redirect_uri, sent, challenge, self.now() + lifetime)
        self._keep(self._codes, value, code)
        return value

    def code(self, value: str) -> Code | None:
        """Find a code, used or not."""
        return self._codes.get(value)

    def issue(self, kind: Kind, grant: Grant, scope: str, lifetime: int | None, value: str | None = None) -> Token:
        """Return a new token.

        Args:
            kind: access or refresh.
            grant: its family.
            scope: its scope.
            lifetime: seconds it works; None is without end.
            value: the token's text; None makes a random one.
        """
        now = self.now()
        expires_at = None if lifetime is None else now + lifetime
        token = Token(value or secrets.token_urlsafe(32), kind, grant, scope, now, expires_at)
        self._keep(self._access if kind == "access" else self._refresh, token.value, token)
        return token

    def rotate(self, token: Token) -> None:
        """Mark a refresh token as replaced."""
        if token.rotated_at is None:
            token.rotated_at = self.now()
            self._refresh.pop(token.value, None)
            self._keep(self._spent, token.value, token)

    def access(self, value: str) -> Token | None:
        """Find an access token, whatever its state."""
        return self._access.get(value)

    def refresh(self, value: str) -> Token | None:
        """Find a refresh token, whatever its state."""
        return self._refresh.get(value) or self._spent.get(value)

    def find(self, value: str) -> Token | None:
        """Find a token of either kind."""
        return self.access(value) or self.refresh(value)

    def usable(self, token: Token, behaviour: Behaviour) -> bool:
        """Tell whether a refresh token may be used now: it is active, or rotated within the grace time."""
        now = self.now()
        state = token.state(now)
        if state == "rotated" and token.rotated_at is not None:
            return (now - token.rotated_at) * 1000 < behaviour.rotation_grace
        return state == "active"

    def all(self, chosen: Callable[[Token], bool]) -> Iterator[Token]:
        """Yield the kept tokens for which `chosen` is true."""
        return filter(chosen, chain(self._access.values(), self._refresh.values(), self._spent.values()))

    def expire(self, chosen: Callable[[Token], bool]) -> int:
        """End the life of tokens now; return how many there were."""
        found = list(self.all(chosen))
        now = self.now()
        for token in found:
            token.expires_at = now
        return len(found)

    def revoke(self, chosen: Callable[[Token], bool]) -> int:
        """Revoke tokens one by one, not their families; return how many there were."""
        found = list(self.all(chosen))
        for token in found:
            token.revoked = True
        return len(found)

    def revoke_client(self, client_id: str) -> None:
        """Revoke everything a client was granted."""
        for grant in self.grants.values():
            if grant.client_id == client_id:
                grant.revoked = grant.revoked or "the client was deleted"

    def _keep(self, room: OrderedDict[str, V], key: str, value: V) -> V | None:
        room[key] = value
        return room.popitem(last=False)[1] if len(room) > self._cap else None
