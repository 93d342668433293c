"""Finds the address that a request came from, also behind proxies."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from keyrack.api.core.asgi import Scope
from keyrack.setting_values import networks

_FORWARDED = "forwarded"
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^\s;,"]+)\s*(?:;|$)', re.IGNORECASE)
_NODE = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?", re.IGNORECASE)


class CallerAddress:
    """Tells addresses; a header is believed only from proxies that the operator named.

    Only one header is: what a proxy does not write itself it may pass on from anybody.

    Args:
        trusted_proxies: the setting of this name.
        header: in which they say it, `x-forwarded-for` or `forwarded` (RFC 7239).
    """

    def __init__(self, trusted_proxies: str = "", header: str = "x-forwarded-for") -> None:
        self._proxies = networks(trusted_proxies)
        self._header = header.encode()
        self._hops = _forwarded if header == _FORWARDED else _listed

    def of(self, scope: Scope) -> str | None:
        """Return a request's address; None where it came through no network."""
        peer: str | None = scope["client"][0] if scope.get("client") else None
        if peer is None or not self._proxies or not self._is_proxy(peer):
            return peer
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == self._header]
        for hop in self._hops(",".join(lines)):
            if not self._is_proxy(hop):
                return hop if _is_address(hop) else peer
        return peer

    def _is_proxy(self, text: str) -> bool:
        return _is_address(text) and any(ip_address(text) in network for network in self._proxies)


def _listed(value: str) -> Iterator[str]:
    """Yield the hops of X-Forwarded-For, the last one first."""
    return (text.strip() for text in reversed(value.split(",")))


def _forwarded(value: str) -> Iterator[str]:
    """Yield the hops of Forwarded (RFC 7239 section 4), the last one first; what names no address is an empty text.

    Read from the end, where the proxies that are believed have written: whatever quotes stand open before that hide
    nothing of it.
    """
    parts: list[str] = []
    open_quote = False
    for part in reversed(value.split(",")):
        parts.append(part)
        open_quote ^= part.count('"') % 2 == 1
        if open_quote:
            continue  # the comma was inside of quotes
        found = _FOR.search(",".join(reversed(parts)).strip())
        node = None if found is None else _NODE.fullmatch(found[1].strip('"'))
        yield "" if node is None else node[1] or node[2]
        parts = []


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
