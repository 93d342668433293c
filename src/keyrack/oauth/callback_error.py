"""Reads the error that a provider sends to a callback, in the RFC's parameters or its own."""

import re
from collections.abc import Mapping

from keyrack.oauth.provider_text import ShownError, error_meta

_CODES = ("error", "errorcode", "errortype", "oauthproblem", "errorreason", "errorsubcode", "denied")
_TEXTS = ("errordescription", "errormessage", "errormsg", "errordetail", "errordetails", "errortext", "errorreason",
          "oauthproblemadvice", "errorsummary", "errortitle")  # fmt: skip
_URIS = ("erroruri", "errorurl")
_NOT_ALNUM = re.compile(r"[^a-z0-9]")


def callback_error(params: Mapping[str, str]) -> ShownError:
    """Return what a callback says about a failure, fit to be shown; empty if it says nothing of the kind.

    Beside `error`, `error_description` and `error_uri` (RFC 6749 section 4.1.2.1) the names are understood that
    providers have for them, however they are spelt: `error_code`, `errorMessage`, `error_reason`, `oauth_problem` …

    Args:
        params: the callback's query parameters.

    Returns:
        `error`, `error_description` and `error_uri`, as far as there is something to say.
    """
    spelt = {_NOT_ALNUM.sub("", name.lower()): value for name, value in reversed(list(params.items())) if value.strip()}
    code, text, uri = (next((name for name in names if name in spelt), None) for names in (_CODES, _TEXTS, _URIS))
    said = {"error": spelt.get(code or ""), "error_description": None if text == code else spelt.get(text or "")}
    # "denied" carries the token that was denied, which says nothing to a person
    said["error"] = "access_denied" if code == "denied" else said["error"]
    return error_meta({**said, "error_uri": spelt.get(uri or "")})
