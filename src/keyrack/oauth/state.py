"""The `state` of an authorization request (RFC 6749 section 10.12): random, and stored as its hash only."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence

STATE = "state"
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST = 4


def new_state() -> str:
    """Return a new state: 256 random bits, url-safe (contract section 20.2 asks for at least 128)."""
    return secrets.token_urlsafe(32)


def state_hash(state: str) -> str:
    """Return the SHA-256 of a state as 64 lowercase hex characters.

    Takes any text a browser can be made to send, lone surrogates included: what is not a state of ours simply
    has a hash that is not stored.
    """
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def states_of(params: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return what may be the state of a callback: the parameter's name and the value's hash, the likeliest first.

    A provider with another name for `state` (`Callback.state` of its profile) can only be told by the consent that a
    value leads to. So the caller compares the name with what that consent expects.
    """
    others = [name for name, value in params.items() if name != STATE and _FORM.fullmatch(value)]
    named = [STATE] if STATE in params or not others else []
    return [(name, state_hash(params.get(name, ""))) for name in (*named, *others[:_MOST])]
