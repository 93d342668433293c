"""Masks our secrets in a text that somebody else wrote, in whatever encoding they come back."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from keyrack.crypto.secret import MASK, Secret

_MIN_MASKED = 4
"""Characters; what is shorter is too common to be told from other text."""
_MIN_INSIDE_BASE64 = 6
_ESCAPE = re.compile("%[0-9A-F]{2}")
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_BASE64_RUN = re.compile("[A-Za-z0-9+/_=-]*")


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text with `***` in the place of each secret.

    Found are secrets as they are, percent-encoded as in a form or a header (also twice, as OAuth 1.0a signs them),
    escaped as in JSON or HTML, and inside Base64, of which the whole run goes: a `Basic` header also holds the client's
    id. Takes time in proportion to the length of the text.
    """
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _MIN_MASKED:
            text = text.replace(form, MASK)
    for part in sorted({part for form in forms for part in _inside_base64(form)}):
        text = _without_runs(text, part)
    return text


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < _MIN_MASKED:
        return
    once = quote(secret, safe="", errors="replace")
    yield from (secret, html.escape(secret), html.escape(secret, quote=False))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("/", "\\/"))
    encoded = (once, quote_plus(secret, errors="replace"), quote(secret, safe="!'()*", errors="replace"), quote(once))
    for each in encoded:
        yield each
        yield _ESCAPE.sub(lambda match: match[0].lower(), each)


def _inside_base64(form: str) -> Iterator[str]:
    """Yield what the Base64 of any text with this form in it contains, whatever stands before and after."""
    clear = form.encode("utf-8", "replace")
    if len(clear) < _MIN_INSIDE_BASE64:
        return
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + clear)
        # of the first group, characters that depend on what stands before are left out, of the last, what comes after
        start = (0, 2, 3)[before]
        end = len(whole) - (0, 3, 2)[(before + len(clear)) % 3]
        part = whole[start:end].decode()
        yield part
        yield part.translate(str.maketrans("+/", "-_"))


def _without_runs(text: str, part: str) -> str:
    pieces, done = [], 0
    while (at := text.find(part, done)) >= 0:
        pieces += [text[done:at].rstrip(_BASE64), MASK]
        run = _BASE64_RUN.match(text, at)
        done = run.end() if run else at + len(part)
    return "".join([*pieces, text[done:]])
