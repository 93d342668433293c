"""Asks for what a provider profile wants known of a connection once it is made, and finds it in answers and tokens."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import regex

from keyrack.crypto.secret import Secret
from keyrack.oauth.content import text_of
from keyrack.oauth.dpop import TOKEN_TYPE
from keyrack.oauth.id_token import claims_of
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.answers import kept_text, member_at
from keyrack.oauth.profiles.call_parts import Call, Taken
from keyrack.oauth.profiles.kinds import TokenUse
from keyrack.oauth.profiles.request_parts import EndpointRequest, Template
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.profiles.templates import filled
from keyrack.oauth.wire import FormRequest, RawResponse

_MOST_ENTRIES = 1000
_LONGEST_JSON = 4000
"""Characters of a list or an object that is kept."""
_LONGEST_SEARCH = 0.02
"""Seconds that a pattern may take: it may be anybody's."""
_ANYTHING = "*"


def call_request(
    call: Call, address: str, profile: ClientProfile, access_token: Secret, values: Mapping[str, str]
) -> FormRequest:
    """Return the request of a call with a new access token.

    Args:
        call: what is asked.
        address: where, filled in.
        profile: client and provider; its key and its certificate go along where the token may be bound to them.
        access_token: of the connection.
        values: for placeholders.
    """
    if call.token_as is TokenUse.BASIC:  # as the name of a user, without a password (RFC 7617 section 2)
        value = f"Basic {b64encode(f'{access_token.reveal()}:'.encode()).decode()}"
    else:
        value = f"{'Bearer' if profile.proof_key is None else TOKEN_TYPE} {access_token.reveal()}"
    request = FormRequest(address, (), Secret(value), proof_key=profile.proof_key, certificate=profile.certificate)
    said = EndpointRequest(
        method=call.method, body=call.body, parameters=dict(call.parameters), headers=dict(call.headers)
    )
    return as_asked(request, said, values)


def told_by_call(call: Call, response: RawResponse, values: Mapping[str, str]) -> dict[str, str]:
    """Return what an answer to a call tells, by the names under which it is kept; what cannot be found is left out.

    Args:
        call: what was asked.
        response: what came back.
        values: for placeholders of conditions.
    """
    success = 200 <= response.status < 300  # noqa: PLR2004 - HTTP's success
    told = {} if call.answered is None else {call.answered: str(success).lower()}
    if not success or not call.learned:
        return told
    entry = _entry(call, _document(response), values)
    taken = {name: where if isinstance(where, Taken) else Taken(path=where) for name, where in call.learned.items()}
    found = {name: _text(each, _at(entry, each.path)) for name, each in taken.items()}
    return told | {name: text for name, text in found.items() if text is not None}


def told_by_token(access_token: Secret, claims: Mapping[str, str]) -> dict[str, str]:
    """Return claims of an access token that is a JWT, by the names under which they are kept.

    Nobody has checked them: they are the provider's word, as all that came over the connection to it.

    Args:
        access_token: which may be anything.
        claims: the path of each, by its name.
    """
    found = claims_of(access_token.reveal()) if claims else {}
    texts = {name: kept_text(member_at(found, path)) for name, path in claims.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _document(response: RawResponse) -> Any:
    text, unfinished = text_of(response.body, response.headers)
    if unfinished or response.cut:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _entry(call: Call, document: Any, values: Mapping[str, str]) -> Any:
    """Return the entry of an answer that counts; None if there is none."""
    found = _at(document, call.entries)
    entries = found[:_MOST_ENTRIES] if isinstance(found, list) else [] if found is None else [found]
    for conditions in call.choose or ({},):
        wanted = _filled(conditions, values)
        if wanted is None or (call.only and not wanted and len(entries) != 1):
            continue
        met = next((each for each in entries if _meets(each, wanted)), None)
        if met is not None:
            return met
    return None


def _filled(conditions: Mapping[str, Template], values: Mapping[str, str]) -> Mapping[str, str] | None:
    found = {path: filled(text, values) for path, text in conditions.items()}
    wanted = {path: text for path, text in found.items() if text is not None}
    return wanted if len(wanted) == len(found) else None


def _meets(entry: Any, wanted: Mapping[str, str]) -> bool:
    return all(is_like(kept_text(_at(entry, path)) or "", text) for path, text in wanted.items())


def is_like(text: str, wanted: str) -> bool:
    """Tell whether a text is as wanted, whatever the case, where `*` stands for anything."""
    text, parts = text.lower(), wanted.lower().split(_ANYTHING)
    if len(parts) == 1:
        return text == parts[0]
    if not text.startswith(parts[0]) or len(text) < sum(map(len, parts)):
        return False
    at, end = len(parts[0]), len(text) - len(parts[-1])
    for part in parts[1:-1]:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end and text.endswith(parts[-1])


def _at(document: Any, path: str) -> Any:
    if not path:
        return document
    if isinstance(document, list):
        return member_at({"": document}, f".{path}")
    return member_at(document, path) if isinstance(document, Mapping) else None


def _text(taken: Taken, value: Any) -> str | None:
    """Return what is kept of a value; None if nothing can be."""
    if isinstance(value, Mapping | list) and taken.pattern is None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text if len(text) <= _LONGEST_JSON else None
    kept = kept_text(value)
    if kept is None or taken.pattern is None:
        return kept
    return next(_parts(kept, taken.pattern, in_base64=taken.in_base64), None)


def _parts(text: str, pattern: str, *, in_base64: bool) -> Iterator[str]:
    try:
        found = regex.search(pattern, b64decode(text).decode() if in_base64 else text, timeout=_LONGEST_SEARCH)
    except (ValueError, TimeoutError, regex.error):
        return
    if found is not None and (part := found[1] if found.re.groups else found[0]):
        yield b64encode(part.encode()).decode() if in_base64 else part
