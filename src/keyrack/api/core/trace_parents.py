"""Takes the trace of a caller (W3C Trace Context) from those that the operator trusts with it."""

from ipaddress import ip_address

from keyrack.api.core.asgi import Scope
from keyrack.setting_values import EVERYBODY, networks


class TraceParents:
    """Tells which trace a request belongs to.

    Whoever names a trace decides whether it is kept, which costs, and puts spans into it beside those of others. So
    it is taken only where the connection comes from: a proxy passes on what its own callers have written.

    Args:
        trusted: the setting `trace_parents`.
    """

    def __init__(self, trusted: str) -> None:
        self._everybody = EVERYBODY in trusted
        self._networks = networks(trusted)

    def of(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        """Return the `traceparent` of a request, as it came; None if there is none, or it is not to be taken."""
        given = headers.get(b"traceparent")
        if given is None or not (self._everybody or self._is_trusted(scope)):
            return None
        return given.decode("latin-1")

    def _is_trusted(self, scope: Scope) -> bool:
        try:
            peer = ip_address(scope["client"][0])
        except (TypeError, KeyError, ValueError):
            return False
        return any(peer in network for network in self._networks)
