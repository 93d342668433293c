"""Finds the address that a request came from, also behind proxies."""

from ipaddress import ip_address, ip_network

from keyrack.api.core.asgi import Scope


class CallerAddress:
    """Tells addresses; X-Forwarded-For is believed only from proxies the operator named.

    Args:
        trusted_proxies: the setting of this name.
    """

    def __init__(self, trusted_proxies: str) -> None:
        self._proxies = [ip_network(text.strip()) for text in trusted_proxies.split(",") if text.strip()]

    def of(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        """Return a request's address; None where it came through no network."""
        peer: str | None = scope["client"][0] if scope.get("client") else None
        if peer is None or not self._proxies or not self._is_proxy(peer):
            return peer
        hops = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        for hop in reversed([text.strip() for text in hops]):
            if not self._is_proxy(hop):
                return hop if _is_address(hop) else peer
        return peer

    def _is_proxy(self, text: str) -> bool:
        return _is_address(text) and any(ip_address(text) in network for network in self._proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
