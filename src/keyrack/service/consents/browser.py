"""Recognises the browser that a consent is bound to, by a cookie on our own host (contract 0.21, 0.23)."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

LIFETIME = 3600
"""Seconds for which a browser is known again."""

_NAME = "keyrack-consent"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class BrowserCookie:
    """What tells a browser from all others: 256 random bits, which mean nothing by themselves.

    Attributes:
        value: the bits, url-safe.
        secure: whether the host is reached by https; then the name has the prefix `__Host-`, so that no other host,
            a subdomain's neither, can set it (RFC 6265bis section 4.1.3.2).
    """

    value: str
    secure: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return _name(secure=self.secure)

    def hash_for(self, consent_id: str) -> str:
        """Return what is stored of it with a consent: 64 hex characters, others for every consent."""
        return hashlib.sha256(f"consent {consent_id} {self.value}".encode()).hexdigest()

    def form_token(self, consent_id: str) -> str:
        """Return what a form on our page sends along: only a page that was shown to this browser has it."""
        return hashlib.sha256(f"form {consent_id} {self.value}".encode()).hexdigest()

    def made_form(self, consent_id: str, token: str) -> bool:
        """Tell whether a form came from our page in this browser."""
        return hmac.compare_digest(self.form_token(consent_id).encode(), token.encode("utf-8", "replace"))


def cookie_of(cookies: Mapping[str, str], *, secure: bool) -> BrowserCookie | None:
    """Return what a browser sends, or None if it sends none of ours."""
    value = cookies.get(_name(secure=secure), "")
    return BrowserCookie(value, secure) if _VALUE.fullmatch(value) else None


def new_cookie(*, secure: bool) -> BrowserCookie:
    """Return a cookie for a browser that has none."""
    return BrowserCookie(secrets.token_urlsafe(32), secure)


def is_secure(address: str) -> bool:
    """Tell whether an address of ours is reached by https."""
    return address.lower().startswith("https://")


def _name(*, secure: bool) -> str:
    return f"__Host-{_NAME}" if secure else _NAME
