"""Access tokens as signed JWTs (RFC 9068), ES256 (RFC 7518 section 3.4), with a key made at start."""

import base64
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_KEY_ID = "simulator"
_SIZE = 32
_HEADER = {"alg": "ES256", "kid": _KEY_ID, "typ": "at+jwt"}


class Signer:
    """Signs with a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return the claims as a compact JWS (RFC 7515 section 3.1)."""
        signed = f"{_encode(_HEADER)}.{_encode(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{_b64(r.to_bytes(_SIZE, 'big') + s.to_bytes(_SIZE, 'big'))}"

    def jwks(self) -> dict[str, object]:
        """Return the public key as a JWK set (RFC 7517 section 5)."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": _KEY_ID}
        point = {"x": _b64(numbers.x.to_bytes(_SIZE, "big")), "y": _b64(numbers.y.to_bytes(_SIZE, "big"))}
        return {"keys": [key | point]}


def _encode(value: Mapping[str, object]) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
