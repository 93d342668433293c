"""Tells from the answer of an authorization endpoint to a browser without cookies whether the request is well formed.

A server that asks people to sign in first says nothing yet; only what is certain is told.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

from keyrack.crypto.secret import Secret
from keyrack.oauth.content import text_of
from keyrack.oauth.diagnosis.findings import AT_PROVIDER, Finding, Level, Places
from keyrack.oauth.provider_text import printable, shown_error
from keyrack.oauth.wire import RawResponse

CHECK = "authorization_endpoint"
"""Name of these findings."""

_READ = 64 * 1024
_LONGEST = 300
_REDIRECT = re.compile(
    r"redirect_uri_mismatch|invalid_redirect_uri|AADSTS50011|bad_redirect_uri"
    r"|(?:redirect|callback)[ _-]?ur[il][^.<>\"]{0,60}(?:mismatch|not match|not registered|invalid|not allowed|unknown"
    r"|must match|did not match|missing|not (?:one )?(?:of|in))"
    r"|(?:mismatch|invalid|unknown|unregistered|bad)[^.<>\"]{0,30}(?:redirect|callback)[ _-]?ur[il]",
    re.IGNORECASE,
)
_CLIENT = re.compile(
    r"invalid_client|unauthorized_client|AADSTS700016|deleted_client|disabled_client"
    r"|(?:invalid|unknown|missing|no such)[^.<>\"]{0,20}(?:client|application)"
    r"|client(?:_id| id| identifier)?[^.<>\"]{0,30}(?:invalid|unknown|not found|does not exist|not registered)",
    re.IGNORECASE,
)
_CERTAIN = re.compile(
    r"redirect_uri_mismatch|invalid_redirect_uri|AADSTS50011|bad_redirect_uri|invalid_client\b|AADSTS700016"
    r"|deleted_client|disabled_client"
)
"""What is an error's code, and no word that a page with scripts may have anyhow."""


def judge_page(answer: RawResponse, redirect_uri: str, places: Places, sent: Iterable[Secret] = ()) -> Finding:
    """Return what an authorization endpoint's answer tells.

    Args:
        answer: to a GET with a well-formed request, without cookies.
        redirect_uri: the one that was sent.
        places: where things are changed.
        sent: what of the request is secret.
    """
    location = answer.headers.get("location", "")
    if 300 <= answer.status < 400 and location:  # noqa: PLR2004 - HTTP's redirects
        return _of_redirect(answer, location, redirect_uri, places, sent)
    text, _ = text_of(answer.body[:_READ], answer.headers)
    refused = answer.status >= 400  # noqa: PLR2004 - HTTP's errors
    found = _known(text, answer.status, places, certain=not refused)
    if found is not None and not refused:  # a script on the page may know the code, too
        found = replace(found, level=Level.warning, seen=f"{found.seen}; this is on a page that came with success")
    if found is not None:
        return found
    if answer.status in {404, 405, 410}:
        seen = f"Nothing at the address takes authorization requests (status {answer.status})."
        return Finding(
            CHECK, Level.error, seen, "Correct the authorization endpoint.", places["authorization_endpoint"]
        )
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's faults of a server
        return Finding(CHECK, Level.warning, f"The provider answers with status {answer.status}.", "Try again later.")
    if refused:
        seen = f"The provider refuses the authorization request with status {answer.status}, and does not say why."
        change = "Open the address in a browser; compare client_id and redirect URI with what the provider has."
        return Finding(CHECK, Level.warning, seen, change, AT_PROVIDER)
    return Finding(CHECK, Level.ok, f"The provider shows a page (status {answer.status or 'unknown'}).")


def _of_redirect(
    answer: RawResponse, location: str, redirect_uri: str, places: Places, sent: Iterable[Secret]
) -> Finding:
    try:
        host = urlsplit(location).hostname
    except ValueError:
        seen = f"The provider leads on (status {answer.status}) to what is no address: {printable(location, 100, sent)}"
        return Finding(CHECK, Level.warning, seen, "Ask the provider.", AT_PROVIDER)
    if location.startswith(redirect_uri):
        said = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        shown = shown_error(said.get("error"), said.get("error_description"), None, sent)
        if "error" not in shown:
            return Finding(CHECK, Level.ok, "The provider sends the browser back at once, without an error.")
        return _sent_back(shown, places)
    found = _known(_readable(location), answer.status, places, certain=True)
    if found is not None:
        return found
    where = printable(host or "its own", 100)
    seen = f"The provider leads on (status {answer.status}, to {where}), as to where people sign in."
    return Finding(CHECK, Level.ok, seen)


def _sent_back(shown: Mapping[str, object], places: Places) -> Finding:
    code = str(shown["error"])
    words = ": ".join(str(part) for part in (code, shown.get("error_description")) if part)
    seen = f"The provider sends the browser back with {words}"
    if code in {"login_required", "interaction_required", "consent_required"}:
        return Finding(CHECK, Level.ok, f"{seen}, since nobody is signed in.")
    if code == "invalid_scope":
        return Finding("scopes", Level.error, seen, "Ask for scopes that the client may have.", places["scopes"])
    change = "Allow it for the client at the provider, or correct the request."
    return Finding(CHECK, Level.error, seen, change, AT_PROVIDER)


def _known(text: str, status: int, places: Places, *, certain: bool) -> Finding | None:
    """Return what a text is known to say; a page of a successful answer is believed only in a code's own spelling."""
    known = _CERTAIN.search(text)
    if certain and known is None:
        return None
    redirect, client = _REDIRECT.search(text), _CLIENT.search(text)
    if certain and known is not None:
        redirect, client = _REDIRECT.fullmatch(known[0]), _CLIENT.fullmatch(known[0])
    if redirect is not None:
        seen = f"The provider does not accept the redirect URI (status {status}): {printable(redirect[0], _LONGEST)}"
        return Finding("redirect_uri", Level.error, seen, "Register the redirect URI at the provider, exactly.",
                       AT_PROVIDER)  # fmt: skip
    if client is not None:
        seen = f"The provider does not know the client (status {status}): {printable(client[0], _LONGEST)}"
        return Finding(CHECK, Level.error, seen, "Compare client_id with what the provider shows.", places["client_id"])
    return None


def _readable(location: str) -> str:
    """Return an address with what Google encodes in it: `authError` is Base64 of a message with the code."""
    text = unquote(location[:_READ])
    for value in parse_qs(urlsplit(location[:_READ]).query).get("authError", [])[:1]:
        with suppress(ValueError):
            text += " " + urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("utf-8", "replace")
    return text
