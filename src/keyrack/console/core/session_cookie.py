"""The cookie of a browser at the console, and what a form of ours has that no other page knows (decision 28).

A browser has the cookie before anybody signs in, so that the sign-in form is bound to it too; signing in replaces it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from keyrack.crypto.secret import Secret

_NAME = "keyrack-console"
_DEVICE = "keyrack-known-device"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_SAME_SITE = frozenset({"same-origin", "none"})
"""What browsers say of a request that no other site has caused (`Sec-Fetch-Site`, W3C Fetch Metadata)."""


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """What a browser holds.

    Attributes:
        value: 256 random bits, url-safe.
        secure: whether it may only go over https; then its name has the prefix `__Host-`, so that no other host, a
            subdomain's neither, can set it (RFC 6265bis section 4.1.3.2).
    """

    value: Secret
    secure: bool

    @property
    def form_token(self) -> str:
        """What the forms of this browser's pages send along."""
        return hashlib.sha256(f"console form {self.value.reveal()}".encode()).hexdigest()

    def made_form(self, token: str) -> bool:
        """Tell whether a form came from a page that was shown with this cookie."""
        return hmac.compare_digest(self.form_token.encode(), token.encode("utf-8", "replace"))

    def header(self) -> dict[str, str]:
        """Return the header that gives the browser the cookie, for as long as it runs."""
        secure = "; Secure" if self.secure else ""
        name = _name(secure=self.secure)
        return {"set-cookie": f"{name}={self.value.reveal()}; Path=/; HttpOnly; SameSite=Lax{secure}"}


def device_cookie(note: Secret, max_age: int, *, secure: bool) -> Cookie:
    """Return the cookie by which a browser is known in which somebody has signed in; it lets nobody in.

    Args:
        note: what `KnownDevices.remember` returned.
        max_age: seconds for which it is kept.
        secure: as of `SessionCookie`.
    """
    name = _device_name(secure=secure)
    return Cookie(name, value=note.reveal(), max_age=max_age, secure=secure, httponly=True, samesite="lax")


def device_note(cookies: Mapping[str, str], *, secure: bool) -> Secret | None:
    """Return what a browser keeps of its last sign-in, or None."""
    note = cookies.get(_device_name(secure=secure))
    return None if note is None else Secret(note)


def cookie_of(cookies: Mapping[str, str], *, secure: bool) -> SessionCookie | None:
    """Return what a browser sends, or None if it sends none of ours."""
    value = cookies.get(_name(secure=secure), "")
    return SessionCookie(Secret(value), secure) if _VALUE.fullmatch(value) else None


def new_cookie(*, secure: bool) -> SessionCookie:
    """Return a cookie for a browser in which nobody is signed in."""
    return SessionCookie(Secret(secrets.token_urlsafe(32)), secure)


def needs_https(public_url: str | None) -> bool:
    """Tell whether cookies may only go over https: unless people open Keyrack at this machine's own http address."""
    parts = urlsplit(public_url or "")
    if parts.scheme != "http":
        return True
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname != "localhost"


def is_from_our_page(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Tell whether a request was caused by a page of ours, as far as the browser says anything about it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _SAME_SITE
    origin = headers.get("origin")
    ours = {headers.get("host", ""), urlsplit(public_url or "").netloc} - {""}
    return origin is None or urlsplit(origin).netloc in ours


def _name(*, secure: bool) -> str:
    return f"__Host-{_NAME}" if secure else _NAME


def _device_name(*, secure: bool) -> str:
    return f"__Host-{_DEVICE}" if secure else _DEVICE
