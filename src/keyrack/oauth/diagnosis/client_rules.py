"""Judges what can be judged of a client without asking its provider: redirect URI, offline access, clock, dates."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from keyrack.oauth.client_assertion import UnusableKeyError, client_assertion
from keyrack.oauth.diagnosis.findings import AT_PROVIDER, Finding, Level, Place, Places, Where
from keyrack.oauth.profile import ClientProfile

_PUBLIC_URL = Place(Where.installation, "KEYRACK_PUBLIC_URL")
_CLOCK = Place(Where.installation)
_SOME_SECONDS, _MANY_SECONDS = 30, 120
_SOON = timedelta(days=30)


class Offline(NamedTuple):
    """How a provider is asked for a refresh token: by a parameter with a value, or by a scope."""

    parameter: str = ""
    value: str = ""
    scope: str = ""


OFFLINE: Mapping[str, Offline] = {
    "accounts.google.com": Offline("access_type", "offline"),
    "login.microsoftonline.com": Offline(scope="offline_access"),
    "auth.atlassian.com": Offline(scope="offline_access"),
    "login.xero.com": Offline(scope="offline_access"),
    "x.com": Offline(scope="offline.access"),
    "twitter.com": Offline(scope="offline.access"),
    "www.dropbox.com": Offline("token_access_type", "offline"),
    "accounts.zoho.com": Offline("access_type", "offline"),
    "accounts.zoho.eu": Offline("access_type", "offline"),
    "accounts.zoho.in": Offline("access_type", "offline"),
    "www.reddit.com": Offline("duration", "permanent"),
    "login.salesforce.com": Offline(scope="refresh_token"),
    "test.salesforce.com": Offline(scope="refresh_token"),
}
"""By the host of the authorization endpoint: providers that give a refresh token only to who asks for one."""


def judge_redirect_uri(redirect_uri: str | None, *, is_set: bool) -> Finding:
    """Return what is wrong with the address that browsers come back to.

    Args:
        redirect_uri: as it will be sent; None: each tenant has its own.
        is_set: whether the operator has set `KEYRACK_PUBLIC_URL`.
    """
    if redirect_uri is None:
        seen = "Each tenant has its own redirect URI, at its app_domain."
        return Finding("redirect_uri", Level.notice, seen, "Set KEYRACK_PUBLIC_URL to have one for all.", _PUBLIC_URL)
    parts = urlsplit(redirect_uri)
    seen, host = f"The redirect URI is {redirect_uri}", parts.hostname or ""
    change = f"Register {redirect_uri} at the provider, exactly."
    if _is_local(host):
        seen, change = f"{seen}, which no browser elsewhere reaches.", "the address at which browsers reach Keyrack."
        return Finding("redirect_uri", Level.warning, seen, f"Set KEYRACK_PUBLIC_URL to {change}", _PUBLIC_URL)
    if parts.scheme != "https":
        seen = f"{seen}, which is not https; most providers refuse it."
        return Finding("redirect_uri", Level.warning, seen, "Set KEYRACK_PUBLIC_URL to an https address.", _PUBLIC_URL)
    if not is_set:
        seen = f"{seen}, after the tenant's app_domain, as KEYRACK_PUBLIC_URL is not set."
        return Finding("redirect_uri", Level.notice, seen, change, AT_PROVIDER)
    return Finding("redirect_uri", Level.ok, f"{seen}.", change, AT_PROVIDER)


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in {"localhost", "local", "internal", "test", "invalid"}


def judge_offline(authorization_url: str, scopes: Sequence[str], places: Places) -> Iterator[Finding]:
    """Yield whether a refresh token is asked for, where the provider is known to give none otherwise.

    Args:
        authorization_url: as a consent would send a browser to it.
        scopes: what is asked for, as far as it is known.
        places: where things are changed.
    """
    parts = urlsplit(authorization_url)
    wanted = OFFLINE.get(parts.hostname or "")
    if wanted is None:
        return
    sent = parse_qs(parts.query)
    if wanted.scope:
        if wanted.scope in scopes or wanted.scope in " ".join(sent.get("scope", [])).split():
            yield Finding("offline_access", Level.ok, f"The scope {wanted.scope} is asked for.")
        else:
            seen = f"The scope {wanted.scope} is not asked for, so that the provider gives no refresh token."
            yield Finding("offline_access", Level.warning, seen, f"Ask for the scope {wanted.scope} too.",
                          places["scopes"])  # fmt: skip
    elif sent.get(wanted.parameter) == [wanted.value]:
        yield Finding("offline_access", Level.ok, f"{wanted.parameter}={wanted.value} is sent.")
    else:
        seen = f"{wanted.parameter}={wanted.value} is not sent, so that the provider gives no refresh token."
        change = f"Send {wanted.parameter}={wanted.value} with the authorization request."
        yield Finding("offline_access", Level.warning, seen, change, places["parameters"])


def judge_clock(date: str | None, began: datetime, ended: datetime, *, signs: bool) -> Finding | None:
    """Return how far a provider's clock is from ours, by the `Date` of an answer (RFC 9110 section 6.6.1).

    Args:
        date: the header; None: it sent none.
        began: when the request was begun, by our clock.
        ended: when its answer was there.
        signs: whether the client signs what it sends, which a wrong clock makes void.
    """
    try:
        theirs = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    seconds = 0.0
    if theirs > ended:
        seconds = (theirs - ended).total_seconds()
    elif theirs < began:
        seconds = -(began - theirs).total_seconds()
    off = abs(round(seconds))
    if off <= _SOME_SECONDS:
        return Finding("clock", Level.ok, f"The provider's clock and ours agree within {max(off, 1)} s.")
    seen = f"The provider's clock is {off} s {'ahead of' if seconds > 0 else 'behind'} ours."
    change = "Set this machine's clock by a time server; if it is right, the provider's is wrong."
    level = Level.notice if off <= _MANY_SECONDS else Level.error if signs else Level.warning
    return Finding("clock", level, seen, change, _CLOCK)


def judge_secret_end(ends_at: datetime | None, now: datetime, place: Place) -> Finding | None:
    """Return whether the client's secret has ended, as far as somebody has said when it does."""
    if ends_at is None:
        return None
    day = ends_at.date().isoformat()
    change = "Make a new secret at the provider, and store it."
    if ends_at <= now:
        return Finding("client_secret", Level.error, f"The client's secret ended on {day}.", change, place)
    level = Level.warning if ends_at <= now + _SOON else Level.ok
    return Finding(
        "client_secret", level, f"The client's secret ends on {day}.", change if level != "ok" else "", place
    )


def judge_key(profile: ClientProfile, places: Places) -> Finding | None:
    """Return whether the client's key can sign with its algorithm; None for a client that does not sign."""
    if profile.signer is None:
        return None
    try:
        client_assertion(profile.client_id, profile.signer, profile.token_endpoint)
    except UnusableKeyError as wrong:
        change = f"Store a private key for {profile.signer.algorithm}, in PEM or as a JWK."
        return Finding("private_key", Level.error, f"The client cannot sign: {wrong}.", change, places["private_key"])
    return Finding("private_key", Level.ok, f"The client signs with {profile.signer.algorithm}.")
