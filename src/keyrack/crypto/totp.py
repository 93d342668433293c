"""One-time codes by time (RFC 6238, with HMAC-SHA-1 and 30 seconds as all authenticator apps know them)."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from keyrack.crypto.secret import Secret

DIGITS = 6
PERIOD = 30
"""Seconds for which a code is shown."""
_SECRET_BYTES = 20  # as long as what HMAC-SHA-1 returns (RFC 4226 section 4, R6)
_SKEW = 1
"""Time steps by which a clock may be wrong, either way."""
_LONGEST_LABEL = 100


def new_totp_secret() -> Secret:
    """Return a new secret in base32 (RFC 4648), as people type it into an app."""
    return Secret(base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode())


def code_at(key: bytes, step: int, *, digits: int = DIGITS) -> str:
    """Return the code of a time step (RFC 4226 section 5.3).

    Args:
        key: the secret.
        step: periods since 1970.
        digits: of the code.
    """
    return HOTP(key, digits, SHA1()).generate(step).decode()  # noqa: S303 - the only hash that all apps know


def step_at(moment: datetime) -> int:
    """Return the time step that a time is in (RFC 6238 section 4.2)."""
    return int(moment.timestamp()) // PERIOD


def matching_step(secret: Secret, code: str, now: datetime) -> int | None:
    """Return the time step of which a code is, or None if it is of none around now.

    Args:
        secret: in base32.
        code: what somebody has typed.
        now: the time.
    """
    key, current, found = base64.b32decode(secret.reveal()), step_at(now), None
    for step in range(max(0, current - _SKEW), current + _SKEW + 1):
        if hmac.compare_digest(code_at(key, step).encode(), code.encode("utf-8", "replace")):
            found = step
    return found


def otpauth_uri(secret: Secret, issuer: str, account: str) -> str:
    """Return the address that an app reads out of a QR code (Google's "Key Uri Format", which all apps read).

    Made here, as `cryptography` writes a space as `+`, which apps show.

    Args:
        secret: in base32.
        issuer: for what the codes are.
        account: whose they are.
    """
    issuer, account = (text.replace(":", " ")[:_LONGEST_LABEL] for text in (issuer, account))
    query = {"secret": secret.reveal(), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD}
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{urlencode(query, quote_via=quote)}"


def new_recovery_code() -> Secret:
    """Return a code of 80 random bits that a person can copy by hand: "abcd-efgh-ijkl-mnop"."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return Secret("-".join(text[start : start + 4] for start in range(0, len(text), 4)))


def recovery_hash(code: str) -> str:
    """Return what is stored of a recovery code, however somebody writes it; 80 random bits need no slow hash."""
    text = "".join(letter for letter in code.casefold() if letter.isalnum())
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"keyrack recover").hexdigest()
