"""Signs what a client says of itself instead of sending a secret: `private_key_jwt`, `client_secret_jwt` (RFC 7523)."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from keyrack import clock
from keyrack.crypto.secret import Secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""`client_assertion_type` (RFC 7523 section 2.2)."""
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP", "HS": "oct"}
"""`kty` of the keys of an algorithm, by how its name begins (RFC 7518 section 3.1)."""
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"}
)
"""With which a private key signs."""
SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})
"""With which a client's secret signs."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_RSA_BITS = 2048
_SECONDS = 300
"""For which an assertion is good: as long as clocks may differ and a request may take."""


class UnusableKeyError(ValueError):
    """A text is no private key for an algorithm."""


@dataclass(frozen=True, slots=True)
class AssertionSigner:
    """How a client signs.

    Attributes:
        algorithm: `alg` of RFC 7518 section 3.1.
        key: a private key in PEM or as a JWK (RFC 7517) in JSON, or the client's secret.
        key_id: `kid` in the header; None: the JWK's own, if it has one.
        audience: `aud`; None: the address that the request goes to.
    """

    algorithm: str
    key: Secret = field(repr=False)
    key_id: str | None = None
    audience: str | None = None


def client_assertion(client_id: str, signer: AssertionSigner, endpoint: str) -> Secret:
    """Return the JWT with which a client authenticates at an endpoint, once (RFC 7523 section 3).

    Args:
        client_id: `iss` and `sub`.
        signer: how it signs.
        endpoint: where the request goes; without its query the audience, if the signer has none.

    Raises:
        UnusableKeyError: the key does not go with the algorithm.
    """
    claims = {"iss": client_id, "sub": client_id, "aud": signer.audience or endpoint.partition("?")[0]}
    return signed(claims, signer)


def signed(claims: Mapping[str, Any], signer: AssertionSigner, *, seconds: int = _SECONDS) -> Secret:
    """Return a JWT that is good once and from now on (RFC 7519), with `jti`, `iat` and `exp` of our own.

    Args:
        claims: the others.
        signer: how it is signed; its audience is not looked at.
        seconds: for which it is good.

    Raises:
        UnusableKeyError: the key does not go with the algorithm.
    """
    key, now = signing_key(signer.key, signer.algorithm), int(clock.now().timestamp())
    header = {"alg": signer.algorithm, "typ": "JWT"}
    key_id = signer.key_id or key.kid
    if key_id:
        header["kid"] = key_id
    whole = {**claims, "jti": secrets.token_urlsafe(24), "iat": now, "exp": now + seconds}
    try:
        return Secret(jwt.encode(header, whole, key, algorithms=[signer.algorithm]))
    except (JoseError, ValueError, TypeError):
        pass  # raised outside: what is chained to it may show the key
    raise UnusableKeyError(f"the key cannot sign with {signer.algorithm}")


def new_key(algorithm: str) -> Any:
    """Return a new private key, as joserfc has it, of the kind that an algorithm of `ALGORITHMS` signs with."""
    kind = KEY_TYPES.get(algorithm[:2])
    if kind == "EC":
        return jwk.ECKey.generate_key(_CURVES.get(algorithm, "P-256"), private=True)
    if kind == "OKP":
        return jwk.OKPKey.generate_key("Ed25519", private=True)
    return jwk.RSAKey.generate_key(_RSA_BITS, private=True)


def signing_key(text: Secret, algorithm: str) -> Any:
    """Return a key that signs with an algorithm.

    Raises:
        UnusableKeyError: the text is none.
    """
    kind: Any = KEY_TYPES.get(algorithm[:2])
    if kind is None:
        raise UnusableKeyError(f"{algorithm} is no algorithm that is known here")
    given = text.reveal().strip()
    try:
        is_jwk = kind != "oct" and given.startswith("{")  # a secret may begin so and is still the text that it is
        found = jwk.import_key(json.loads(given) if is_jwk else given, kind)
    except (JoseError, ValueError, TypeError):
        found = None
    if found is None or (kind != "oct" and not found.is_private):
        raise UnusableKeyError(f"is no private key for {algorithm}, in PEM or as a JWK")
    return found
