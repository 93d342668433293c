"""Holds pushed authorization requests in memory, bounded: each for a moment, and for one use (RFC 9126)."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyrack.clock import Clock

_MOST = 10_000
_PREFIX = "urn:ietf:params:oauth:request_uri:"


@dataclass(frozen=True, slots=True)
class _Pushed:
    client_id: str
    parameters: Mapping[str, str] = field(repr=False)
    expires_at: float


class PushedBook:
    """Keeps and hands out pushed parameters; the oldest are forgotten first.

    Args:
        clock: what time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Pushed] = OrderedDict()

    def keep(self, client_id: str, parameters: Mapping[str, str], lifetime: int) -> str:
        """Keep parameters for some seconds and return the `request_uri` that stands for them."""
        request_uri = _PREFIX + secrets.token_urlsafe(24)
        self._kept[request_uri] = _Pushed(client_id, parameters, self._clock().timestamp() + lifetime)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return request_uri

    def take(self, client_id: str, request_uri: str) -> Mapping[str, str] | None:
        """Return what a client has pushed, once; None if it has not, or too long ago (RFC 9126 section 4)."""
        found = self._kept.get(request_uri)
        if found is None or found.client_id != client_id:
            return None
        del self._kept[request_uri]
        return found.parameters if found.expires_at > self._clock().timestamp() else None
