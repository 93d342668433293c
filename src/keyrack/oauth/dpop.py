"""Proves with each request that its sender holds the key that tokens are bound to: DPoP (RFC 9449)."""

import base64
import hashlib
import json
import re
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from keyrack.crypto.secret import Secret
from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.profiles.kinds import ProofAlgorithm
from keyrack.oauth.wire import RawResponse

HEADER, NONCE_HEADER = "DPoP", "dpop-nonce"
"""Headers with a proof (RFC 9449 section 4.1), and with what the next must repeat (section 8) in lower case."""
TOKEN_TYPE = "DPoP"  # noqa: S105 - the name of a type
"""`token_type` of a token that is bound, and its scheme (RFC 9449 section 5, RFC 9449 section 7.1); any case."""

_SECONDS_BACK = 5
"""By how much `iat` lies in the past: a server whose clock is a little slow must not see a proof from the future, and
no server wants it newer than that (RFC 9449 section 11.1)."""
_CHALLENGED = frozenset({400, 401})
_USE_NONCE = "use_dpop_nonce"
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1000}")
_DEFAULT_PORTS = {"https": 443, "http": 80}


_CURVES = {
    ProofAlgorithm.ES256: "P-256",
    ProofAlgorithm.ES384: "P-384",
    ProofAlgorithm.ES512: "P-521",
    ProofAlgorithm.ED25519: "Ed25519",
}


def new_proof_key(algorithm: ProofAlgorithm) -> Secret:
    """Return a new key pair as the text of a private JWK (RFC 7517), which says its algorithm."""
    curve = _CURVES[algorithm]
    made = jwk.generate_key("OKP" if curve == "Ed25519" else "EC", curve)  # type: ignore[call-overload]
    return Secret(json.dumps({**made.as_dict(private=True), "alg": algorithm.value}))


def is_proof_key(key: Secret) -> bool:
    """Tell whether a text is a key as `new_proof_key` makes them."""
    try:
        found = _key(key)
        return bool(found.is_private) and found.as_dict()["crv"] == _CURVES[ProofAlgorithm(found.alg)]
    except (JoseError, ValueError, TypeError, KeyError):
        return False


def thumbprint(key: Secret) -> str:
    """Return by what a server knows a key: `dpop_jkt` (RFC 9449 section 10), `cnf.jkt` (RFC 9449 section 6.1)."""
    return str(_key(key).thumbprint())


def new_proof(
    key: Secret, method: str, url: str, at: datetime, *, nonce: str | None = None, access_token: Secret | None = None
) -> str:
    """Return a proof for one request (RFC 9449 section 4.2).

    Args:
        key: from `new_proof_key`.
        method: of HTTP.
        url: where the request goes; query and fragment are no part of the proof.
        at: the current time.
        nonce: the newest one that the server has sent, if any.
        access_token: the token that goes with the request, where a resource is asked.
    """
    signing = _key(key)
    algorithm = str(signing.alg)
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(18),
        "htm": method.upper(),
        "htu": target_of(url),
        "iat": int(at.timestamp()) - _SECONDS_BACK,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    public = {name: value for name, value in signing.as_dict(private=False).items() if name in _PUBLIC}
    header = {"alg": algorithm, "typ": "dpop+jwt", "jwk": public}
    return jwt.encode(header, claims, signing, algorithms=[algorithm])


def token_hash(access_token: Secret) -> str:
    """Return the hash that says which token a proof goes with: `ath` (RFC 9449 section 4.2)."""
    digest = hashlib.sha256(access_token.reveal().encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def target_of(url: str) -> str:
    """Return what a proof says of where a request goes: `htu`, without query and fragment, as servers compare it.

    Scheme and host are in lower case, a usual port is left out, an empty path is `/` (RFC 9449 section 4.3 with
    RFC 3986 sections 6.2.2 and 6.2.3).
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}"


def nonce_of(response: RawResponse) -> str | None:
    """Return the nonce that the next proof for a server must repeat (RFC 9449 sections 8.2, 9), if it sent one."""
    nonce = response.headers.get(NONCE_HEADER, "")
    return nonce if is_nonce(nonce) else None


def is_nonce(text: str) -> bool:
    """Tell whether a text can be a server's nonce (RFC 9449 section 8.1)."""
    return _NONCE.fullmatch(text) is not None


def asks_for_nonce(response: RawResponse) -> bool:
    """Tell whether a request was refused only because its proof lacks the server's nonce (RFC 9449 sections 8 and 9).

    Such a request was not processed: a code or refresh token in it is as good as before.
    """
    if response.status not in _CHALLENGED or nonce_of(response) is None:
        return False
    if f'error="{_USE_NONCE}"' in response.headers.get("www-authenticate", ""):
        return True
    try:
        return parse_answer(response).values.get("error") == _USE_NONCE
    except NotUnderstood:
        return False


def is_bound(token_type: str | None) -> bool:
    """Tell whether a token of a type is bound to a key by DPoP."""
    return (token_type or "").strip().lower() == TOKEN_TYPE.lower()


_PUBLIC = frozenset({"kty", "crv", "x", "y"})


def _key(text: Secret) -> Any:
    return jwk.import_key(json.loads(text.reveal()))
