"""The `state` of an authorization request (RFC 6749 section 10.12): random, and stored as its hash only."""

import hashlib
import secrets


def new_state() -> str:
    """Return a new state: 256 random bits, url-safe (contract section 20.2 asks for at least 128)."""
    return secrets.token_urlsafe(32)


def state_hash(state: str) -> str:
    """Return the SHA-256 of a state as 64 lowercase hex characters.

    Takes any text a browser can be made to send, lone surrogates included: what is not a state of ours simply
    has a hash that is not stored.
    """
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
