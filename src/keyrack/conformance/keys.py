"""Makes the keys that clients sign with, once for each algorithm."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc import jwk

from keyrack.oauth.client_assertion import new_key
from keyrack.oauth.profiles.kinds import AuthMethod, Grant
from keyrack.oauth.profiles.model import ProviderProfile

_KEY_ID = "twin-key"


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
    made = new_key(algorithm)
    return SigningKey(made.as_pem(private=True).decode(), made, _KEY_ID)
