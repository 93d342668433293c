"""The value of an `HTTPAuthView` field, first generation (contract section 19.3)."""

from collections.abc import Mapping
from typing import Any

from keyrack.descriptor.text import NOT_A_PARAMETER, is_lost, parameter_value, scalar_text
from keyrack.errors import Problem
from keyrack.validation.json_types import A_STRING, AN_OBJECT, wrong_type
from keyrack.validation.pointer import join

TYPES = ("No Auth", "Basic Auth", "API Key Auth", "OAuth2")
OAUTH2 = "OAuth2"
TOKEN_PATH = ("oauth2", "keys")
"""Where in the field's value the tokens go (contract section 0.17)."""

TEMPLATE_MEMBERS = ("clientId", "clientSecret", "authUri", "tokenUri")
"""Members of `oauth2` that templates may name. Only these: the object comes from the user, and any other name could
take the place of an environment variable or of a validated field."""

_TEXTS = {
    "basic": ("username", "password"),
    "apiKey": ("headerName", "headerValue"),
    "oauth2": TEMPLATE_MEMBERS,
}
_OBJECTS = ("additionalProperties", "keys")


def problems_of(value: object, pointer: str) -> list[Problem]:
    """Return what is wrong with the shape of a value; members that are absent or null are not."""
    if not isinstance(value, Mapping):
        return [Problem(wrong_type(AN_OBJECT, value), pointer)]
    problems: list[Problem] = []
    if value.get("type") not in TYPES:
        problems.append(Problem(f"must be one of {', '.join(TYPES)}", join(pointer, "type")))
    for part, names in _TEXTS.items():
        inner = value.get(part)
        if inner is None:
            continue
        base = join(pointer, part)
        if not isinstance(inner, Mapping):
            problems.append(Problem(wrong_type(AN_OBJECT, inner), base))
            continue
        problems.extend(
            Problem(wrong_type(A_STRING, inner[name]), join(base, name))
            for name in names
            if not isinstance(inner.get(name), str | None)
        )
        if part == "oauth2":
            problems.extend(_oauth2_problems(inner, base))
    return problems


def oauth2_of(value: object) -> Mapping[str, Any]:
    """Return the `oauth2` object of a value that has no problems; empty when it has none."""
    inner = value.get("oauth2") if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def requested_scope(oauth2: Mapping[str, Any]) -> str:
    """Return the scopes as one text: an array or comma-separated text is joined with spaces."""
    scopes = oauth2.get("scopes") or ""
    items = scopes.split(",") if isinstance(scopes, str) else scopes
    return " ".join(item.strip() for item in items if item.strip())


def extra_of(oauth2: Mapping[str, Any]) -> dict[str, str]:
    """Return the members of `additionalProperties` as text: extras of the authorization request."""
    given = (oauth2.get("additionalProperties") or {}).items()
    texts = {name: scalar_text(parameter_value(name, item)) for name, item in given}
    return {name: text for name, text in texts.items() if text is not None}


def _oauth2_problems(oauth2: Mapping[str, Any], base: str) -> list[Problem]:
    problems = [
        Problem(wrong_type(AN_OBJECT, oauth2[name]), join(base, name))
        for name in _OBJECTS
        if not isinstance(oauth2.get(name), Mapping | None)
    ]
    extras = oauth2.get("additionalProperties")
    problems += [
        Problem(NOT_A_PARAMETER, join(base, "additionalProperties", name))
        for name, item in (extras.items() if isinstance(extras, Mapping) else ())
        if is_lost(name, item)
    ]
    scopes = oauth2.get("scopes")
    listed = isinstance(scopes, list) and all(isinstance(item, str) for item in scopes)
    if not (scopes is None or isinstance(scopes, str) or listed):
        problems.append(Problem("must be an array of strings or a string", join(base, "scopes")))
    return problems
