"""Verifies proofs of possession strictly (RFC 9449 section 4.3), and issues nonces for them (section 8)."""

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from keyrack.simulator.behaviour import ErrorCode

ALGORITHMS = ("ES256", "ES384", "ES512", "Ed25519", "RS256", "PS256")
"""`dpop_signing_alg_values_supported` (RFC 9449 section 5.1)."""
_OLDEST, _NEWEST = 120, 5
"""Seconds that `iat` may lie in the past and in the future."""
_MOST_SEEN = 100_000
_NOT_PUBLIC = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class WrongProofError(Exception):
    """A proof is not taken.

    Attributes:
        code: `invalid_dpop_proof`, or `use_dpop_nonce`.
        description: why.
    """

    def __init__(self, description: str, code: ErrorCode = "invalid_dpop_proof") -> None:
        super().__init__(description)
        self.code: ErrorCode = code
        self.description = description


class Proofs:
    """Judges proofs, each good once.

    Args:
        now: the time, seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._key = secrets.token_bytes(32)

    def nonce(self, seconds: int) -> str:
        """Return the nonce of this moment, which changes every so many seconds and then counts once as long."""
        return self._nonce_at(int(self._now()) // seconds)

    def judge(self, proof: str, method: str, target: str, seconds: int, access_token: str | None) -> str:
        """Return the thumbprint of the key that a proof shows its sender to hold (RFC 7638).

        Args:
            proof: the header's value.
            method: of the request.
            target: the endpoint's address, without query.
            seconds: as of `nonce`; 0: no nonce is asked for.
            access_token: the token that it must go with, if any.

        Raises:
            WrongProofError: it is not taken.
        """
        key, claims = _opened(proof)
        if claims.get("htm") != method or _normal(str(claims.get("htu", ""))) != _normal(target):
            raise WrongProofError("htm or htu is not that of this request")
        if access_token is not None and claims.get("ath") != _digest(access_token):
            raise WrongProofError("ath is not the hash of the access token")
        if seconds:
            if claims.get("nonce") not in self._current(seconds):
                raise WrongProofError("the proof must repeat the nonce of the header DPoP-Nonce", "use_dpop_nonce")
        elif "nonce" in claims:
            raise WrongProofError("nobody asked for a nonce")
        self._once(claims, target)
        return str(key.thumbprint())

    def _current(self, seconds: int) -> tuple[str, str]:
        number = int(self._now()) // seconds
        return self._nonce_at(number), self._nonce_at(number - 1)

    def _nonce_at(self, number: int) -> str:
        return hmac.new(self._key, str(number).encode(), hashlib.sha256).hexdigest()[:24]

    def _once(self, claims: Mapping[str, Any], target: str) -> None:
        issued_at, jti, now = claims.get("iat"), claims.get("jti"), self._now()
        if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
            raise WrongProofError("iat is no time")
        if not now - _OLDEST <= issued_at <= now + _NEWEST:
            raise WrongProofError("iat is too old, or lies in the future")
        if not isinstance(jti, str) or not 1 <= len(jti) <= 200:  # noqa: PLR2004 - more than any server needs
            raise WrongProofError("jti is no text")
        while self._seen and next(iter(self._seen.values())) < now - _OLDEST - _NEWEST:
            self._seen.popitem(last=False)
        if (jti, target) in self._seen or len(self._seen) >= _MOST_SEEN:
            raise WrongProofError("the proof was used before")
        self._seen[jti, target] = now


def _opened(proof: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the public key in a proof and the claims that it has signed."""
    try:
        head = proof.split(".", maxsplit=1)[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        public = header["jwk"]
        if header["typ"] != "dpop+jwt" or header["alg"] not in ALGORITHMS or _NOT_PUBLIC & public.keys():
            raise WrongProofError("typ, alg or jwk of its header is wrong")
        key = jwk.import_key(public)
        token = jwt.decode(proof, key, algorithms=[header["alg"]])
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise WrongProofError("it is no JWT that its own key has signed") from None
    return key, token.claims


def _normal(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}" if not parts.query and not parts.fragment else ""


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
