"""Remembers for a while which nonce servers want the next DPoP proof to repeat (RFC 9449 sections 8 and 9)."""

import time
from collections import OrderedDict
from collections.abc import Callable

KEPT = 300.0
"""Seconds; a server that has changed its nonce meanwhile says so, which costs one request."""
_MOST = 2_000


class DPoPNonces:
    """The newest nonce of each server, for each tenant: nobody has a say in what is sent for others.

    Args:
        timer: seconds that only go forward.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._known: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def newest(self, tenant_id: str, origin: str) -> str | None:
        """Return what a server wants to be repeated, None if that is not known."""
        nonce, until = self._known.get((tenant_id, origin), ("", 0.0))
        return nonce if self._timer() < until else None

    def remember(self, tenant_id: str, origin: str, nonce: str) -> None:
        """Keep what a server has sent, in place of what it sent before."""
        place = (tenant_id, origin)
        self._known[place] = (nonce, self._timer() + KEPT)
        self._known.move_to_end(place)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
