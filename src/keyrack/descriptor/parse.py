"""Parses a component.json (contract sections 0.9 and 19).

Real descriptors are taken as they are: only wrong JSON types of members that Keyrack reads are refused, and in a new
one what could never work; null is the same as absent, and everything else stays in `raw` untouched. What only looks
wrong: `lint`.
"""

from collections.abc import Mapping
from typing import Any

from keyrack.descriptor.model import Descriptor, EnvVar, Field
from keyrack.descriptor.oauth_blocks import oauth1_block, oauth2_block
from keyrack.descriptor.reader import Json, Reader
from keyrack.descriptor.text import scalar_text
from keyrack.descriptor.workable import unworkable
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.json_types import AN_OBJECT, wrong_type
from keyrack.validation.pointer import join
from keyrack.validation.storable import unstorable

_NAMES = 'must be an object such as {"NAME": {"required": true}}, not an array; only env may be an array of names'


def parse_descriptor(raw: object, *, new: bool = False) -> Descriptor:
    """Return the descriptor that a JSON value describes.

    Args:
        raw: a parsed JSON value, as submitted.
        new: it is just being submitted: members that would be left out without a word are refused too, and so is what
            no consent could ever work with (`unworkable`). One that is stored is taken as it is.

    Raises:
        ValidationFailed: it is not an object, cannot be stored, or members that Keyrack reads have the wrong
            type, or what `new` says. All problems (up to 100) are named; pointers start at the descriptor, such as
            `/credentials/fields/x/viewClass`.
    """
    if not isinstance(raw, dict):
        raise ValidationFailed(Problem(wrong_type(AN_OBJECT, raw), ""))
    if problems := unstorable(raw, ""):
        raise ValidationFailed(*problems)
    reader = Reader(lossless=new)
    credentials = reader.mapping(raw, "credentials", "")
    inner = credentials or {}
    in_credentials = reader.boolean(inner, "useOAuthClient", "/credentials")
    at_top = reader.boolean(raw, "useOAuthClient", "")
    descriptor = Descriptor(
        raw=raw,
        title=reader.string(raw, "title", ""),
        use_oauth_client=in_credentials or at_top,
        auth_client_types=reader.strings(raw, "authClientTypes", ""),
        env_vars=_env_vars(reader, raw),
        fields=_fields(reader, inner),
        oauth2=oauth2_block(reader, raw, inner),
        oauth1=oauth1_block(reader, raw, inner),
        functions=frozenset(_names(reader, raw, "actions")) | frozenset(_names(reader, raw, "triggers")),
        has_credentials=credentials is not None,
    )
    if new:
        for problem in unworkable(descriptor):
            reader.note(problem.detail, problem.pointer or "")
    reader.finish()
    return descriptor


def _names(reader: Reader, raw: Json, name: str) -> Json:
    return reader.mapping(raw, name, "") or {}


def _env_vars(reader: Reader, raw: Json) -> Mapping[str, EnvVar]:
    """Read `envVars` and its older alias `env`, each an object or an array of names; `envVars` wins."""
    found: dict[str, EnvVar] = {}
    for member in ("env", "envVars"):
        if isinstance(raw.get(member), list):
            if member == "envVars":
                reader.note_loss(_NAMES, "/envVars")
            found |= {name: EnvVar(name, required=False) for name in reader.strings(raw, member, "")}
            continue
        declared = reader.mapping(raw, member, "") or {}
        for name, value in reader.mappings(declared, join("", member)):
            required = reader.boolean(value, "required", join("", member, name))
            found[name] = EnvVar(name, required)
    return found


def _fields(reader: Reader, credentials: Json) -> Mapping[str, Field]:
    declared = reader.mapping(credentials, "fields", "/credentials") or {}
    base = "/credentials/fields"
    return {name: _field(reader, name, item, join(base, name)) for name, item in reader.mappings(declared, base)}


def _field(reader: Reader, name: str, item: Json, base: str) -> Field:
    return Field(
        name=name,
        view_class=reader.string(item, "viewClass", base) or "",
        label=reader.string(item, "label", base),
        required=reader.boolean(item, "required", base),
        options=_options(reader, item, base),
    )


def _options(reader: Reader, item: Json, base: str) -> tuple[str, ...] | None:
    """Return the values of `model`: the keys of an object or the scalar items of an array.

    A text names a function of the component that lists the values at run time; then they are not known here.
    """
    model: Any = item.get("model")
    if model is None or isinstance(model, str):
        return None
    if isinstance(model, dict):
        return tuple(model)
    if isinstance(model, list):
        texts = (scalar_text(value) for value in model)
        return tuple(text for text in texts if text is not None)
    reader.note(wrong_type("an object or an array", model), join(base, "model"))
    return None
