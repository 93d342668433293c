"""Proof Key for Code Exchange (RFC 7636), method S256 only."""

import hashlib
import secrets
from base64 import urlsafe_b64encode

from keyrack.crypto.secret import Secret

METHOD = "S256"


def new_verifier() -> Secret:
    """Return a new code verifier: 43 url-safe characters, 256 random bits (RFC 7636 section 4.1)."""
    return Secret(secrets.token_urlsafe(32))


def challenge(verifier: Secret) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
