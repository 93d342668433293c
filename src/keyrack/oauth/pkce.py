"""Proof Key for Code Exchange (RFC 7636): S256, and plain for providers whose profile has no better."""

import hashlib
import secrets
from base64 import urlsafe_b64encode

from keyrack.crypto.secret import Secret

S256, PLAIN = "S256", "plain"
"""`code_challenge_method` (RFC 7636 section 4.3)."""


def new_verifier() -> Secret:
    """Return a new code verifier: 43 url-safe characters, 256 random bits (RFC 7636 section 4.1)."""
    return Secret(secrets.token_urlsafe(32))


def challenge(verifier: Secret, method: str = S256) -> str:
    """Return the code challenge of a verifier (RFC 7636 section 4.2)."""
    if method == PLAIN:
        return verifier.reveal()
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
