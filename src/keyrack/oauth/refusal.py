"""Finds code and text in a token endpoint's refusal, whatever its form, without our secrets.

RFC 6749 section 5.2 wants JSON with `error` and `error_description`. Servers in use also write other members, a list
of errors, XML, a page of HTML, plain text, or a `WWW-Authenticate` header (RFC 6750 section 3) and no body at all.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure
from keyrack.oauth.content import text_of
from keyrack.oauth.provider_text import shown_error
from keyrack.oauth.wire import RawResponse

_CODES = ("error", "error_code", "errorCode", "errorcode", "errcode", "error_type", "errorType", "code")
_FURTHER_CODES = ("suberror", "error_subtype", "status", "category", "type", "reason")
_TEXTS = (
    "error_description",
    "error_message",
    "errorMessage",
    "message",
    "msg",
    "errmsg",
    "detail",
    "description",
    "faultstring",
    "title",
    "reason",
)
_WRAPPERS = ("error", "errors", "fault", "detail", "meta")
MEANINGLESS = frozenset(
    {"0", "ok", "success", "error", "errors", "fail", "failed", "failure", "true", "false", "none", "about:blank"}
    | {status.phrase.lower() for status in HTTPStatus}
    | {status.name.lower() for status in HTTPStatus}
)
"""What stands where a code is expected and says no more than the status does."""

_READ = 16 * 1024
"""Bytes of a body that is not JSON which are looked through for its text."""
_MOST_JSON = 64 * 1024
"""Characters of a list in JSON that is read at all."""
_MOST_ERRORS = 5
_DEPTH = 3
_LONGEST_CODE = 100
_CODE = re.compile(r"[\w.:\-]{2,100}|-?[0-9]{1,12}", re.ASCII)
_AUTHENTICATE = re.compile(r"""\b(error|error_description)\s*=\s*("(?:[^"\\]|\\.){0,1000}"|[^\s,;"]{1,200})""")
_HTML = re.compile(r"\s*(?:<!--.{0,1000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.{0,8000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
_HEAD = re.compile(r"HTTP/[0-9]", re.IGNORECASE)
_MOST_REPLACED = 10
"""Of so many characters one may be a replacement of bytes that could not be decoded."""
_TAG = re.compile(r"<[^<>]{0,2000}>")


@dataclass(frozen=True, slots=True)
class _Words:
    """What was found: codes and texts, the likeliest first, and what is a code only where a provider uses it as one."""

    codes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def take_code(self, value: object, *, hint: bool = False) -> None:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip() and value.strip().lower() not in MEANINGLESS:
            (self.hints if hint else self.codes).append(value.strip())

    def take_text(self, value: object) -> None:
        if isinstance(value, str) and value.strip():
            self.texts.append(value)


def refusal(
    response: RawResponse, members: Mapping[str, Any], detail: str, sent: Iterable[Secret] = ()
) -> ProviderError:
    """Return the error that tells of an answer without what was asked for, in the provider's own words.

    Args:
        response: what came back.
        members: its body, if that was understood; else nothing.
        detail: what could not be done, the beginning of a sentence; where it could have gone wrong is added.
        sent: secrets of the request, never to be shown.

    Returns:
        The error. Its `failure` has `status` and, as far as sent, `error`, `error_description` and `error_uri`, each
        masked and bounded; and in `codes` all that may be a code, for `keyrack.oauth.failure_classes.classify_failure`.
    """
    success = 200 <= response.status < 300  # noqa: PLR2004 - HTTP's success
    words, page = _Words(), False
    if members:
        _collect(members, words, response.status, 0)
    elif response.body:
        page = _collect_unread(response, words, success=success)
    _collect_header(response.headers.get("www-authenticate", ""), words)
    code = _shown_code(members, words)
    text = next((text for text in words.texts if text != code), None)
    failure = ProviderFailure(
        status=response.status or None,
        codes=tuple(code for code in (*words.codes, *words.hints) if len(code) <= _LONGEST_CODE),
        is_page=page,
        **shown_error(code, text, members.get("error_uri"), sent),
    )
    return ProviderError(f"{detail}{_where(response.status, page=page)}.", failure)


def _shown_code(members: Mapping[str, Any], words: _Words) -> str | None:
    """Return what is told as the code: `error` as it stands, else the first word that is no bare number."""
    stated = members.get("error")
    if isinstance(stated, str) and stated.strip():
        return stated
    return next((code for code in words.codes if not code.lstrip("-").isdigit()), next(iter(words.codes), None))


def _collect(members: Mapping[str, Any], words: _Words, status: int, depth: int) -> None:
    inner = [members[name] for name in _WRAPPERS if isinstance(members.get(name), dict | list)]
    # In a success, members of these names may mean anything: whoever knows the provider may recognize a code.
    unsure = 200 <= status < 300  # noqa: PLR2004 - HTTP's success
    for name in _CODES:
        value = members.get(name)
        if str(value) != str(status):
            words.take_code(value, hint=unsure and name == "code")
    for name in _FURTHER_CODES:
        value = members.get(name)
        if isinstance(value, str) and _CODE.fullmatch(value) and value != str(status):
            words.take_code(value, hint=unsure)
    for name in _TEXTS:
        words.take_text(members.get(name))
    for found in inner:
        for each in (found if isinstance(found, list) else [found])[:_MOST_ERRORS]:
            if isinstance(each, dict) and depth < _DEPTH:
                _collect(each, words, status, depth + 1)
            else:
                words.take_text(each)


def _collect_unread(response: RawResponse, words: _Words, *, success: bool) -> bool:
    """Read a body that is neither a JSON object nor form-encoded; return whether it is a page of HTML.

    Of a success only a page's title is read: what else is in it may be tokens that we do not know how to find.
    """
    whole, _ = text_of(response.body, response.headers)
    text = whole[:_READ]
    kind = response.headers.get("content-type", "").lower()
    if text[:1] in {"[", "{", '"'}:
        if not success:
            _collect_array(whole, words, response.status)
        return False
    if _HTML.match(text) or ("html" in kind and text.startswith("<")):
        _collect_page(text, ("title",) if success else ("title", "h1", "h2", "p"), words)
        return True
    if success:
        return False
    if text.startswith("<"):
        _collect_xml(text, words)
    elif _is_readable(text):
        words.take_text(text)
        words.take_code(text if _CODE.fullmatch(text.strip()) else None)
    return False


def _is_readable(text: str) -> bool:
    """Tell whether a text is no head that broke off, which may have cookies in it, and nothing that was not decoded."""
    if _HEAD.match(text) or text.count("\ufffd") * _MOST_REPLACED > len(text):
        return False
    return text.isprintable() or "\n" in text


def _collect_array(text: str, words: _Words, status: int) -> None:
    """Read a list of errors, or a text alone, in JSON."""
    if len(text) > _MOST_JSON:
        return
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return
    for each in (parsed if isinstance(parsed, list) else [parsed])[:_MOST_ERRORS]:
        if isinstance(each, dict):
            _collect(each, words, status, 1)
        else:
            words.take_text(each)


def _collect_page(text: str, elements: Iterable[str], words: _Words) -> None:
    for name in elements:
        words.take_text(_element(text, name))


def _collect_xml(text: str, words: _Words) -> None:
    for name in _CODES:
        value = _element(text, name)
        words.take_code(value if value and _CODE.fullmatch(value) else None)
    before = len(words.texts)
    for name in _TEXTS:
        words.take_text(_element(text, name))
    if len(words.texts) == before:
        words.take_text(_stripped(text))


def _element(text: str, name: str) -> str | None:
    """Return the text inside the first element of a name, whatever namespace it is in."""
    found = re.search(
        rf"<(?:\w{{1,40}}:)?{name}(?:\s[^<>]{{0,1000}})?>(.{{0,4000}}?)</", text, re.IGNORECASE | re.DOTALL
    )
    return _stripped(found[1]) if found else None


def _stripped(text: str) -> str:
    return html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))).strip()


def _collect_header(value: str, words: _Words) -> None:
    for name, quoted in _AUTHENTICATE.findall(value[:_READ]):
        said = re.sub(r"\\(.)", r"\1", quoted[1:-1]) if quoted.startswith('"') else quoted
        (words.take_code if name == "error" else words.take_text)(said)


def _where(status: int, *, page: bool) -> str:
    """Return what an answer tells of the address that was asked, to be added to a sentence."""
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
        return f": it redirects (status {status}), which is not followed; the address may be wrong or have moved"
    if status in NOT_THERE:
        return f": nothing at this address takes it (status {status}); check the address of the endpoint"
    if page and status >= 400:  # noqa: PLR2004 - HTTP's errors
        return f": a web page came back (status {status}), perhaps of a firewall or from a wrong address"
    if page:
        return ": a web page came back"
    return ""


NOT_THERE = frozenset({404, 405, 410})
"""Statuses that speak of the address, not of what was sent there."""
