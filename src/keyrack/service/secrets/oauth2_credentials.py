"""Checks, merges and shows the `credentials` of an oauth2 secret (contract 15.1, 15.2). Pure functions."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import is_oauth2
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.dpop import is_bound
from keyrack.oauth.provider_text import has_controls
from keyrack.oauth.token_response import parse_lifetime
from keyrack.service.clients.auth_client_profile import SECRET_FIELDS
from keyrack.validation.json_types import A_STRING, AN_OBJECT, json_type, wrong_type
from keyrack.validation.pointer import join

POINTER = "/data/attributes/credentials"
TOKENS = ("access_token", "refresh_token")
"""Members whose arrival makes a secret ready again (contract 15.2)."""
TOKEN_MEMBERS = frozenset({*TOKENS, "expires_in"})
"""Members that decide until when the access token is good and how it is renewed."""
_MEMBERS = TOKEN_MEMBERS | {"expires_at", "scope", "additional_params", "undefined_params", "fields"}
_TYPE = "token_type"
"""Emitted with tokens that are bound to a key (decision 41), so that callers send it back; it changes nothing."""


class _Unfit(Exception):
    """A value cannot be taken; the text says what it must be."""


def check_new(given: Mapping[str, Any]) -> Json:
    """Check the credentials of a new oauth2 secret.

    Args:
        given: as submitted; members that are null count as left out.

    Returns:
        What is to be stored: `expires_in` as a number if given, `additional_params` as the text of a JSON object,
        `undefined_params` always; without `expires_at`, which is computed.

    Raises:
        ValidationFailed: with one problem for every member at fault.
    """
    checked, problems = _checked(given)
    if given.get("access_token") is None:
        problems.append(Problem("access_token is required", join(POINTER, "access_token")))
    if problems:
        raise ValidationFailed(*problems[:100])
    return merge({}, checked)


def check_asked(given: Mapping[str, Any]) -> Json:
    """Check the credentials of a new oauth2 secret whose tokens Keyrack is to get itself.

    Args:
        given: as submitted; members that are null count as left out.

    Returns:
        What is to be stored beside the tokens, and the `scope` to ask for.

    Raises:
        ValidationFailed: with one problem for every member at fault.
    """
    checked, problems = _checked(given)
    alone = [name for name in ("refresh_token", "expires_in", "undefined_params") if checked.get(name) is not None]
    problems += [Problem("goes with an access_token only", join(POINTER, name)) for name in alone]
    if problems:
        raise ValidationFailed(*problems[:100])
    return {name: value for name, value in checked.items() if value is not None}


def check_changes(given: Mapping[str, Any]) -> Json:
    """Check credentials that are to be merged into those of an oauth2 secret.

    Args:
        given: as submitted; a null removes what is stored.

    Returns:
        The members in the form they are stored in; None for those to be removed.

    Raises:
        ValidationFailed: with one problem for every member at fault.
    """
    checked, problems = _checked(given)
    if "access_token" in given and given["access_token"] is None:
        problems.append(Problem("cannot be removed", join(POINTER, "access_token")))
    if problems:
        raise ValidationFailed(*problems[:100])
    return checked


def merge(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """Merge checked changes key by key: what is left out is kept, null removes (contract 15.2)."""
    merged = {name: value for name, value in {**stored, **changes}.items() if value is not None}
    merged.setdefault("undefined_params", {})
    return merged


def shown(secret: AuthSecret) -> Json:
    """Return the credentials as they are emitted, tokens in clear: `undefined_params` is always an object.

    What was filled in for the auth client and is secret is not among them: nobody needs it but the provider.
    """
    if not is_oauth2(secret.type):
        return dict(secret.credentials)
    emitted: Json = {"undefined_params": {}, **secret.credentials}
    emitted.pop(SECRET_FIELDS, None)
    if secret.expires_at is not None:
        emitted["expires_at"] = iso(secret.expires_at)
    return emitted


def _checked(given: Mapping[str, Any]) -> tuple[Json, list[Problem]]:
    checked: Json = {}
    problems = []
    for name, value in given.items():
        if name == _TYPE and isinstance(value, str) and is_bound(value):
            continue
        if name not in _MEMBERS:
            detail = "is not one of the credentials of this type; a provider's own members go into undefined_params"
            problems.append(Problem(detail, join(POINTER, name)))
        elif name in _CHECKS:  # all but expires_at, which is computed
            try:
                checked[name] = None if value is None else _CHECKS[name](value)
            except _Unfit as unfit:
                problems.append(Problem(str(unfit), join(POINTER, name)))
    return checked, problems


def _string(detail: str, value: object) -> str:
    return detail if isinstance(value, str) else wrong_type(A_STRING, value)


def _token(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or has_controls(value):
        raise _Unfit(_string("must be a string that is not empty and has no control characters", value))
    return value


def _lifetime(value: object) -> int:
    seconds = parse_lifetime(value)
    if seconds is None:
        raise _Unfit("must be a number of seconds, at least 1")
    return seconds


def _scope(value: object) -> str:
    if not isinstance(value, str) or has_controls(value):
        raise _Unfit(_string("must be a string without control characters", value))
    return value


def _object(value: object) -> Json:
    if not isinstance(value, Mapping):
        raise _Unfit(wrong_type(AN_OBJECT, value))
    return dict(value)


def _additional_params(value: object) -> str:
    """Return extra parameters as the text of a JSON object, from such a text, an object, or `k:v, k2:v2`."""
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        raise _Unfit(f"must be an object, or a string of a JSON object or of pairs k:v, k2:v2, not {json_type(value)}")
    if value.lstrip().startswith("{"):
        return _object_text(value)
    pairs = [part.partition(":") for part in value.split(",") if part.strip()]
    if not all(colon and name.strip() for name, colon, _ in pairs):
        raise _Unfit("must be pairs such as k:v, k2:v2, or the string of a JSON object")
    return json.dumps({name.strip(): text.strip() for name, _, text in pairs}, ensure_ascii=False)


def _object_text(text: str) -> str:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _Unfit("is not the string of a JSON object") from None
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_CHECKS = {
    "access_token": _token,
    "refresh_token": _token,
    "expires_in": _lifetime,
    "scope": _scope,
    "additional_params": _additional_params,
    "undefined_params": _object,
    "fields": _object,
}
