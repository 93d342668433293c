"""Authenticates clients (RFC 6749 section 2.3.1)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from keyrack.crypto.secret import Secret
from keyrack.simulator.config import Client
from keyrack.simulator.state import State
from keyrack.simulator.wire import Refusal

_UNAUTHENTICATED, _BAD_REQUEST = 401, 400


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its client, not yet believed.

    Attributes:
        client_id: named client, empty if none.
        client_secret: shown secret, None if none.
        method: how it was shown: `client_secret_basic`, `client_secret_post` or `none`.
        problem: what is wrong with the way it is shown, or empty.
    """

    client_id: str
    client_secret: Secret | None
    method: str
    problem: str = ""

    @property
    def challenge(self) -> str:
        """`WWW-Authenticate` of a refusal, for who tried HTTP Basic (RFC 6749 section 5.2); else empty."""
        return 'Basic realm="simulator"' if self.method == "client_secret_basic" else ""


def read_claim(request: web.Request, form: Mapping[str, str]) -> Claim:
    """Read who the caller says it is; never fails."""
    header = request.headers.get(AUTHORIZATION)
    posted = form.get("client_secret")
    if header is None:
        secret = Secret(posted) if posted else None
        return Claim(form.get("client_id", ""), secret, "client_secret_post" if posted else "none")
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        decoded = ""
    name, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        return Claim("", None, "client_secret_basic", "the Authorization header is not well formed")
    problem = ""
    if posted:
        problem = "more than one way of client authentication is used"
    elif form.get("client_id", unquote_plus(name)) != unquote_plus(name):
        problem = "the body and the Authorization header name different clients"
    return Claim(unquote_plus(name), Secret(unquote_plus(password)), "client_secret_basic", problem)


def authenticate(state: State, claim: Claim) -> Client:
    """Return the authenticated client.

    Raises:
        Refusal: `invalid_client`, or `invalid_request` for a malformed or doubled authentication.
    """
    if claim.problem:
        raise Refusal("invalid_request", claim.problem)
    client = state.clients.get(claim.client_id)
    if client is None:
        raise Refusal("invalid_client", "the client is not known", _UNAUTHENTICATED)
    wanted = client.token_endpoint_auth_method
    if client.is_public:
        if claim.client_secret is not None:
            raise Refusal("invalid_client", "a public client has no secret", _UNAUTHENTICATED)
        return client
    if wanted not in {"any", claim.method}:
        raise Refusal("invalid_client", f"this client must use {wanted}", _UNAUTHENTICATED)
    if not client.takes_secret(claim.client_secret):
        error = client.wrong_secret_error
        status = _UNAUTHENTICATED if error == "invalid_client" else _BAD_REQUEST
        raise Refusal(error, "the client secret is missing or wrong", status)
    return client
