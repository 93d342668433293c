"""Checks a consent's ID token against the request (OpenID Connect Core 1.0 sections 3.1.2.1 and 3.1.3.7)."""

import hashlib
import hmac
import json
import math
import re
import secrets
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, deserialize_compact

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth.provider_text import has_controls

LEEWAY = 120
"""Seconds by which the server's clock may be behind or ahead of ours."""

MAX_KEYS = 50
"""Keys of a server that are looked at."""

_MAX_SUBJECT = 255
"""Characters of a `sub` (section 2)."""

_PUBLIC_KEY = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"}
)
_CLIENT_SECRET = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SEPARATORS = re.compile(r"[\s,]+")

PublicKey = Mapping[str, Any]
"""A JSON Web Key (RFC 7517)."""


class _Registry(JWSRegistry):
    """Takes what servers really send: chains of certificates in the header, long lists of groups in the claims."""

    max_header_length = 65_536
    max_payload_length = 1_048_576


class UnknownKeyError(ProviderError):
    """The ID token is signed with a key that is not among the authorization server's keys."""


def asks_for_id_token(authorization_endpoint: str, scope: str) -> bool:
    """Tell whether an authorization request has the scope `openid`, in what we add or in the endpoint's own query.

    Args:
        authorization_endpoint: absolute URL.
        scope: what we send; empty if we send none, and then the endpoint's own counts.
    """
    own = parse_qs(urlsplit(authorization_endpoint).query).get("scope", [])
    return any("openid" in _SEPARATORS.split(text) for text in ([scope] if scope else own))


def new_nonce() -> str:
    """Return a new nonce: 256 random bits, url-safe."""
    return secrets.token_urlsafe(32)


def check_id_token(
    token: str,
    *,
    client_id: str,
    client_secret: Secret,
    nonce: str,
    at: datetime,
    issuer: str | None = None,
    keys: Sequence[PublicKey] | None = None,
) -> Mapping[str, Any]:
    """Insist that an ID token was made for us, by the server we asked, in answer to our request.

    The token comes over TLS from the token endpoint itself, which section 3.1.3.7 (6) takes in place of a signature.
    So the signature is checked where there is something to check it with, and `none` is refused all the same.

    Args:
        token: `id_token` of the token response.
        client_id: must be its audience, and its authorized party if it names one.
        client_secret: what it is signed with where its algorithm is a symmetric one.
        nonce: what the authorization request sent.
        at: when the answer came.
        issuer: the server's issuer identifier, if known.
        keys: the server's keys, if known; None leaves the signature unchecked.

    Returns:
        What the token says.

    Raises:
        UnknownKeyError: none of the keys is the one that the token names; it may be newer than they are.
        ProviderError: the ID token is not the one that was asked for, or cannot be read. Nothing of it is shown.
    """
    header, claims = _parts(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or not (algorithm in _PUBLIC_KEY or algorithm in _CLIENT_SECRET):
        raise ProviderError("The authorization server sent an ID token without a signature that can be trusted.")
    if issuer is not None and claims.get("iss") != issuer:
        raise ProviderError("The ID token was issued by another authorization server than the one asked.")
    if client_id not in _audience(claims) or claims.get("azp", client_id) != client_id:
        raise ProviderError("The ID token was issued for another client than ours.")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode("utf-8", "replace"), nonce.encode()):
        raise ProviderError("The ID token does not belong to this connection: its nonce is not the one that was sent.")
    _require_current(claims, at)
    if keys is not None and not _is_signed(token, header, algorithm, client_secret, keys):
        raise ProviderError("The signature of the ID token is not valid.")
    return claims


def require_sign_in(claims: Mapping[str, Any], *, began: datetime, at: datetime) -> str:
    """Insist on what lets a person in by an ID token, beyond what `check_id_token` asks; return who it is (`sub`).

    Args:
        claims: as `check_id_token` returned them.
        began: when the sign-in was begun: the token is no older.
        at: when the answer came: the token is no newer, and good by then.

    Raises:
        ProviderError: it names nobody, several audiences without an authorized party (section 2), or a wrong time.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or has_controls(subject):
        raise ProviderError("The ID token does not say who has signed in.")
    if len(_audience(claims)) > 1 and "azp" not in claims:
        raise ProviderError("The ID token is for several clients, and does not say that it was issued to ours.")
    issued, valid_from = (claims.get(name) for name in ("iat", "nbf"))
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not math.isfinite(issued):
        raise ProviderError("The ID token does not say when it was issued.")
    if issued < began.timestamp() - LEEWAY or issued > at.timestamp() + LEEWAY:
        raise ProviderError("The ID token was issued at another time than this sign-in; are its clock and ours right?")
    if valid_from is not None and not (isinstance(valid_from, int | float) and valid_from <= at.timestamp() + LEEWAY):
        raise ProviderError("The ID token is not valid yet; are the provider's clock and ours right?")
    return subject


def claims_of(token: object) -> Mapping[str, Any]:
    """Return what an ID token says, unchecked, for showing it; nothing where it is none."""
    if not isinstance(token, str):
        return {}
    try:
        return _parts(token)[1]
    except ProviderError:
        return {}


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not _COMPACT.fullmatch(token):
        raise ProviderError("The authorization server sent an ID token that cannot be read; is it encrypted?")
    try:
        header, claims = (json.loads(_decoded(part)) for part in token.split(".")[:2])
    except (ValueError, RecursionError):
        raise ProviderError("The authorization server sent an ID token that cannot be read.") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ProviderError("The authorization server sent an ID token that cannot be read.")
    return header, claims


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _audience(claims: Mapping[str, Any]) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _require_current(claims: Mapping[str, Any], at: datetime) -> None:
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not math.isfinite(expires):
        raise ProviderError("The authorization server sent an ID token that does not say when it expires.")
    if expires + LEEWAY <= at.timestamp():
        raise ProviderError("The authorization server sent an ID token that has expired; are its clock and ours right?")


def _is_signed(
    token: str, header: Mapping[str, Any], algorithm: str, client_secret: Secret, keys: Iterable[PublicKey]
) -> bool:
    if algorithm in _CLIENT_SECRET and not client_secret.reveal():
        return False  # a public client shares no secret with the server
    if algorithm in _CLIENT_SECRET:  # never with a public key: everybody has that (RFC 8725 section 2.1)
        signed, _, signature = token.rpartition(".")
        made = hmac.new(client_secret.reveal().encode(), signed.encode(), _CLIENT_SECRET[algorithm]).digest()
        try:
            return hmac.compare_digest(_decoded(signature), made)
        except ValueError:
            return False
    fitting = [key for key in keys if _fits(key, header.get("kid"), _KEY_TYPES[algorithm[:2]])]
    if not fitting:
        raise UnknownKeyError
    return any(_verifies(token, key, algorithm) for key in fitting[:MAX_KEYS])


def _fits(key: PublicKey, wanted: object, kind: str) -> bool:
    if key.get("kty") != kind or key.get("use", "sig") != "sig":
        return False
    return wanted is None or key.get("kid", wanted) == wanted


def _verifies(token: str, key: PublicKey, algorithm: str) -> bool:
    # Only what it is made of: some servers get the hints beside that wrong.
    material = {name: value for name, value in key.items() if name in {"kty", "n", "e", "crv", "x", "y"}}
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short keys and `EdDSA` are the server's choice
        try:
            deserialize_compact(token, jwk.import_key(material, material["kty"]), [algorithm], registry)
        except (JoseError, ValueError, TypeError, KeyError):
            return False
    return True
