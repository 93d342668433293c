"""Reads what was typed into the fields that a component asks for, and puts it back into the form."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyrack.console.core.forms import Form, json_object
from keyrack.errors import BadRequest, Problem, ValidationFailed
from keyrack.service.consents.connect_form import FieldKind, FormField
from keyrack.validation.pointer import join

NO_AUTH, BASIC, API_KEY, OAUTH2 = "No Auth", "Basic Auth", "API Key Auth", "OAuth2"
"""Ways of an `HTTPAuthView` (contract 19.3)."""

_PARTS: Mapping[str, tuple[str, Sequence[tuple[str, str, bool]]]] = {
    BASIC: ("basic", (("username", "User name", False), ("password", "Password", True))),
    API_KEY: ("apiKey", (("headerName", "Name of the header", False), ("headerValue", "Its value, the key", True))),
    OAUTH2: (
        "oauth2",
        (
            ("clientId", "Client id", False),
            ("clientSecret", "Client secret", True),
            ("authUri", "Authorization URI", False),
            ("tokenUri", "Token URI", False),
            ("scopes", "Scopes", False),
        ),
    ),
}
"""Of each way: the member that holds its values, and their names, labels and whether they are secret."""


_NEVER_SHOWN = frozenset({FieldKind.password, FieldKind.secret_text, FieldKind.json})
"""What was typed there is not put back into the form."""


@dataclass(frozen=True, slots=True)
class Part:
    """A value of one of several ways.

    Attributes:
        id: of its field in the form.
        name: of the member.
        label: for people.
        secret: it is not shown.
    """

    id: str
    name: str
    label: str
    secret: bool


@dataclass(frozen=True, slots=True)
class AskedField:
    """A field of the form.

    Attributes:
        id: in the page; made of the name, which may be anything.
        about: what is asked.
        value: what was typed, unless it is secret.
        chosen: what was chosen of several.
        wrong: what was wrong with it.
        ways: of an `HTTPAuthView`: the ways, each with its values.
        typed: the values of these that were typed, unless secret, by the ids of their fields.
    """

    id: str
    about: FormField
    value: str = ""
    chosen: Sequence[str] = ()
    wrong: str = ""
    ways: Sequence[tuple[str, Sequence[Part]]] = ()
    typed: Mapping[str, str] | None = None


def field_id(name: str) -> str:
    """Return the id of a field in the page."""
    return f"f-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


def asked_fields(
    fields: Sequence[FormField], form: Form | None = None, wrong: Mapping[str, str] | None = None
) -> Sequence[AskedField]:
    """Return the fields as the page shows them.

    Args:
        fields: what is asked.
        form: what was sent, if it was.
        wrong: what was wrong, by id.
    """
    return [_asked(each, form, (wrong or {}).get(field_id(each.name), "")) for each in fields]


def values_of(fields: Sequence[FormField], form: Form, pointer: str) -> dict[str, Any]:
    """Return the values that were typed, as the API takes them; those that are empty are left out.

    Args:
        fields: what is asked.
        form: what was sent.
        pointer: where the values stand in the API's document, for what is wrong.

    Raises:
        ValidationFailed: a value that has to be given is missing, or is no JSON object that can be kept where one is
            asked for.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for each in fields:
        try:
            value = _value(each, form)
        except BadRequest as error:
            problems.append(Problem(str(error), join(pointer, each.name)))
            continue
        if value in (None, "", []) and each.required:
            problems.append(Problem("is needed", join(pointer, each.name)))
        elif value not in (None, ""):
            values[each.name] = value
    if problems:
        raise ValidationFailed(*problems)
    return values


def _asked(field: FormField, form: Form | None, wrong: str) -> AskedField:
    at = field_id(field.name)
    ways: Sequence[tuple[str, Sequence[Part]]] = ()
    typed: dict[str, str] = {}
    if field.kind is FieldKind.http_auth:
        ways = [
            (way, [Part(f"{at}-{way[:2]}-{name}", name, label, secret) for name, label, secret in named])
            for way, named in _ways()
        ]
        parts = [part for _, each in ways for part in each if not part.secret]
        typed = {part.id: "" if form is None else form.text(part.id) for part in parts}
    if form is None:
        return AskedField(at, field, wrong=wrong, ways=ways, typed=typed)
    value = "" if field.kind in _NEVER_SHOWN else form.get(at, "")
    return AskedField(at, field, value, form.all(at), wrong, ways, typed)


def _ways() -> Sequence[tuple[str, Sequence[tuple[str, str, bool]]]]:
    return [(NO_AUTH, ()), *((way, named) for way, (_, named) in _PARTS.items())]


def _value(field: FormField, form: Form) -> Any:
    at = field_id(field.name)
    match field.kind:
        case FieldKind.check_box:
            return at in form
        case FieldKind.multi_select:
            return [each for each in form.all(at) if each]
        case FieldKind.http_auth:
            return _http_auth(at, form)
        case FieldKind.json:
            text = form.text(at)
            return json_object(text) if text else None
        case FieldKind.password | FieldKind.long_text | FieldKind.secret_text:
            return form.get(at, "")
        case _:
            return form.text(at)


def _http_auth(at: str, form: Form) -> dict[str, Any] | None:
    way = form.text(at)
    if not way:
        return None
    if way not in _PARTS:
        return {"type": way}
    member, named = _PARTS[way]
    texts = {name: form.get(f"{at}-{way[:2]}-{name}", "").strip() for name, _, _ in named}
    return {"type": way, member: {name: text for name, text in texts.items() if text}}
