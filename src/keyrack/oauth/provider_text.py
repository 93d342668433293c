"""Makes text from a provider fit to be shown: short, printable, without our secrets."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypedDict

from keyrack.crypto.secret import Secret
from keyrack.oauth.masking import masked

_MAX_CODE = 100
_MAX_DESCRIPTION = 500
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters of the categories Cc and Cs."""


class ShownError(TypedDict, total=False):
    """What a provider said is wrong, fit to be shown, each as far as it said so (RFC 6749 sections 4.1.2.1, 5.2).

    Attributes:
        error: its code, at most 100 characters.
        error_description: its words, at most 500 characters.
        error_uri: the http address of a page about the error, at most 500 characters.
    """

    error: str
    error_description: str
    error_uri: str


def has_controls(text: str) -> bool:
    """Tell whether a text has control characters or lone surrogates, which no token or code has."""
    return _CONTROLS.search(text) is not None


def printable(text: str, limit: int, sent: Iterable[Secret] = ()) -> str:
    """Return a text in one line, without control and format characters, cut to `limit` characters.

    Args:
        text: what the provider wrote.
        limit: greatest length of the result.
        sent: secrets of the request; a provider that echoes one is shown with `***` in its place.
    """
    text = masked(text, sent)
    # Masking comes before cutting, lest a cut secret escapes; the working copy is bounded for hostile sizes.
    kept = (" " if char.isspace() else char for char in text[: limit * 8])
    line = "".join(char for char in kept if not unicodedata.category(char).startswith("C"))
    return " ".join(line.split())[:limit]


def error_meta(members: Mapping[str, object], sent: Iterable[Secret] = ()) -> ShownError:
    """Return `error`, `error_description` and `error_uri` of an error response (RFC 6749 sections 4.1.2.1, 5.2).

    Some servers put an object where the code belongs; its `code`, `type` or `status` and its `message` are taken.

    Args:
        members: the response's members; those that are absent or of another type are left out of the result.
        sent: secrets of the request, never to be shown.
    """
    code, description = members.get("error"), members.get("error_description")
    if isinstance(code, dict):
        description = description or code.get("message")
        code = next((code[name] for name in ("code", "type", "status") if isinstance(code.get(name), str)), None)
    return shown_error(code, description, members.get("error_uri"), sent)


def shown_error(code: object, description: object, uri: object = None, sent: Iterable[Secret] = ()) -> ShownError:
    """Return a provider's error code, description and address of a page about it, as far as they are texts to show.

    Args:
        code: shown as `error`.
        description: shown as `error_description`.
        uri: shown as `error_uri` if it is an http address.
        sent: secrets of the request, never to be shown.
    """
    sent = tuple(sent)
    found: ShownError = {}
    if isinstance(code, str) and (text := printable(code, _MAX_CODE, sent)):
        found["error"] = text
    if isinstance(description, str) and (text := printable(description, _MAX_DESCRIPTION, sent)):
        found["error_description"] = text
    if isinstance(uri, str) and uri.startswith(("https://", "http://")):
        found["error_uri"] = printable(uri, _MAX_DESCRIPTION, sent)
    return found
