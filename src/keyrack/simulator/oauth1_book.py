"""Keeps OAuth 1.0a credentials for oauthlib, which judges the requests."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oauthlib.oauth1 import RequestValidator

from keyrack.clock import Clock
from keyrack.simulator.config import Client

_MOST = 10_000
_NOBODY = "nobody"

V = TypeVar("V")


@dataclass(slots=True)
class TemporaryToken:
    """Temporary credentials (RFC 5849 section 2.1); `expires_at` is in seconds since 1970."""

    token: str
    secret: str = field(repr=False)
    client_id: str
    callback: str
    expires_at: float
    login: str = ""
    verifier: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """Token credentials (RFC 5849 section 2.3)."""

    token: str
    secret: str = field(repr=False)
    client_id: str
    login: str


class OAuth1Book:
    """What was given to whom; bounded, the oldest go first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._temporary: OrderedDict[str, TemporaryToken] = OrderedDict()
        self._granted: OrderedDict[str, TokenCredentials] = OrderedDict()
        self._nonces: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def add_temporary(self, token: str, secret: str, client_id: str, callback: str, lifetime: int) -> None:
        """Keep new temporary credentials for `lifetime` seconds."""
        expires_at = self._clock().timestamp() + lifetime
        _keep(self._temporary, token, TemporaryToken(token, secret, client_id, callback, expires_at))

    def temporary(self, token: str) -> TemporaryToken | None:
        """Find temporary credentials that have not expired and are not used up."""
        found = self._temporary.get(token)
        return found if found is not None and found.expires_at > self._clock().timestamp() else None

    def authorize(self, temporary: TemporaryToken, login: str) -> str:
        """Note who authorized, and return the verifier."""
        temporary.login, temporary.verifier = login, secrets.token_hex(12)
        return temporary.verifier

    def grant(self, token: str, secret: str, temporary: TemporaryToken) -> None:
        """Exchange temporary for token credentials; the former are used up."""
        del self._temporary[temporary.token]
        _keep(self._granted, token, TokenCredentials(token, secret, temporary.client_id, temporary.login))

    def granted(self, token: str) -> TokenCredentials | None:
        """Find token credentials."""
        return self._granted.get(token)

    def is_new(self, *seen: str) -> bool:
        """Tell whether a request with this timestamp and nonce comes for the first time."""
        if seen in self._nonces:
            return False
        _keep(self._nonces, seen, None)
        return True


class Validator(RequestValidator):  # type: ignore[misc] # oauthlib has no types
    """Answers oauthlib's questions about one request.

    Args:
        clients: those registered.
        book: what was given to them.
        lifetime: seconds that temporary credentials live.
    """

    enforce_ssl = False
    dummy_client = dummy_request_token = dummy_access_token = _NOBODY

    def __init__(self, clients: dict[str, Client], book: OAuth1Book, lifetime: int) -> None:
        super().__init__()
        self._clients = clients
        self._book = book
        self._lifetime = lifetime

    def check_client_key(self, client_key: str) -> bool:
        """Take any: the simulator's clients are not named by oauthlib's rules."""
        return bool(client_key)

    def validate_client_key(self, client_key: str, _request: Any) -> bool:
        """Tell whether there is such a client."""
        return client_key in self._clients

    def get_client_secret(self, client_key: str, _request: Any) -> str:
        """Return its secret."""
        client = self._clients.get(client_key)
        return _NOBODY if client is None else client.client_secret.reveal()

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        _request: Any,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        """Refuse what was sent before."""
        return self._book.is_new(client_key, timestamp, nonce, request_token or access_token or "")

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, _request: Any) -> bool:
        """Take the client's own callbacks, and any other as far as `redirect_match` goes."""
        client = self._clients.get(client_key)
        return client is not None and client.takes_redirect(redirect_uri)

    def validate_requested_realms(self, *_: Any) -> bool:
        """Take any realm."""
        return True

    def get_default_realms(self, *_: Any) -> list[str]:
        """Use no realms."""
        return []

    def get_realms(self, *_: Any) -> list[str]:
        """Use no realms."""
        return []

    def validate_realms(self, *_: Any, **__: Any) -> bool:
        """Take any realm."""
        return True

    def save_request_token(self, token: dict[str, str], request: Any) -> None:
        """Keep temporary credentials."""
        self._book.add_temporary(
            token["oauth_token"], token["oauth_token_secret"], request.client_key, request.redirect_uri, self._lifetime
        )

    def validate_request_token(self, client_key: str, token: str, _request: Any) -> bool:
        """Tell whether temporary credentials live and are the client's."""
        found = self._book.temporary(token)
        return found is not None and found.client_id == client_key

    def get_request_token_secret(self, _client_key: str, token: str, _request: Any) -> str:
        """Return their secret."""
        found = self._book.temporary(token)
        return _NOBODY if found is None else found.secret

    def validate_verifier(self, _client_key: str, token: str, verifier: str, _request: Any) -> bool:
        """Tell whether a verifier is the one given to who authorized."""
        found = self._book.temporary(token)
        return found is not None and bool(found.verifier) and secrets.compare_digest(found.verifier, verifier)

    def save_access_token(self, token: dict[str, str], request: Any) -> None:
        """Keep token credentials; the temporary ones are used up."""
        temporary = self._book.temporary(request.resource_owner_key)
        if temporary is not None:
            self._book.grant(token["oauth_token"], token["oauth_token_secret"], temporary)

    def invalidate_request_token(self, *_: Any) -> None:
        """Do nothing: saving the token credentials has done it."""

    def validate_access_token(self, client_key: str, token: str, _request: Any) -> bool:
        """Tell whether token credentials are the client's."""
        found = self._book.granted(token)
        return found is not None and found.client_id == client_key

    def get_access_token_secret(self, _client_key: str, token: str, _request: Any) -> str:
        """Return their secret."""
        found = self._book.granted(token)
        return _NOBODY if found is None else found.secret


def _keep(room: "OrderedDict[Any, V]", key: object, value: V) -> None:
    room[key] = value
    if len(room) > _MOST:
        room.popitem(last=False)
