"""Makes the keys that clients sign with, once for each algorithm."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc import jwk

from keyrack.oauth.profiles.model import AuthMethod, Grant, ProviderProfile

_KEY_ID = "twin-key"
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "Ed25519": "Ed25519", "EdDSA": "Ed25519"}
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of a client.

    Attributes:
        private: in PEM, as the client is given it; empty where it signs with its secret.
        public: as joserfc has it.
        key_id: name of the key; None: it has none.
    """

    private: str = field(repr=False)
    public: Any = field(repr=False)
    key_id: str | None


def signing_key(profile: ProviderProfile, secret: str) -> SigningKey | None:
    """Return the key that a profile's client signs with; None where it sends its secret, or nothing."""
    if profile.grant is Grant.JWT_BEARER:
        return _made(profile.assertion.algorithm)
    said = profile.client_authentication
    if said.method is AuthMethod.CLIENT_SECRET_JWT:
        return SigningKey("", jwk.OctKey.import_key(secret), None)
    if said.method is not AuthMethod.PRIVATE_KEY_JWT:
        return None
    return _made(said.algorithm or "RS256")


@cache
def _made(algorithm: str) -> SigningKey:
    curve = _CURVES.get(algorithm)
    made: Any
    if curve is None:
        made = jwk.RSAKey.generate_key(_RSA_BITS, private=True)
    elif curve == "Ed25519":
        made = jwk.OKPKey.generate_key("Ed25519", private=True)
    else:
        made = jwk.ECKey.generate_key(curve, private=True)
    return SigningKey(made.as_pem(private=True).decode(), made, _KEY_ID)
