"""Puts tokens that are bound to a key into requests, with the nonces that servers ask for (RFC 9449 sections 7, 9)."""

from typing import Any

from keyrack.crypto.secret import Secret

SCHEME = "DPoP"
_PROOF, _NONCE = "dpop", "dpop-nonce"
_UNAUTHORIZED = 401
_MOST_SERVERS = 100


class Nonces:
    """The newest nonce of each server. Requests and responses are those of httpx or httpx2."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def of(self, request: Any) -> str | None:
        """Return what the server of a request wants repeated, if it has said so."""
        return self._of.get(_server(request))

    def learn(self, request: Any, response: Any) -> bool:
        """Remember a response's nonce; tell whether the request was refused for want of it."""
        nonce = response.headers.get(_NONCE)
        if not nonce:
            return False
        server = _server(request)
        wanted = response.status_code == _UNAUTHORIZED and self._of.get(server) != nonce
        if len(self._of) >= _MOST_SERVERS:
            self._of.clear()
        self._of[server] = nonce
        return wanted and "use_dpop_nonce" in response.headers.get("www-authenticate", "")


def add_proof(request: Any, proof: Secret) -> None:
    """Put a proof into a request."""
    request.headers[_PROOF] = proof.reveal()


def _server(request: Any) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
