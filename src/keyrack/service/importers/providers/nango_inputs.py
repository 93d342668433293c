"""Converts what an entry in Nango's format has filled in: by whoever makes a client, by whoever connects, by nobody."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from keyrack.oauth.profiles.call_parts import Call
from keyrack.oauth.profiles.model import Input
from keyrack.oauth.profiles.request_parts import AuthorizationRequest, Endpoints, Sent, TokenRequest
from keyrack.oauth.profiles.templates import TOKEN, placeholders
from keyrack.service.importers.providers.conversion import HOST, Members

_IMPLIED = ("client_id", "client_secret", "client_certificate", "client_private_key")
"""Credentials of a client that every client of the method has: they need no input of their own."""
_INPUT_TEXTS = {
    "title": "title",
    "description": "description",
    "pattern": "pattern",
    "default_value": "default",
    "example": "example",
    "format": "format",
    "prefix": "prefix",
    "suffix": "suffix",
    "doc_section": "documentation",
}


def inputs_of(members: Members, learned: set[str]) -> dict[str, Input]:
    """Return the inputs that an entry describes, but for those that are told with tokens.

    Args:
        members: of the entry; what an input cannot say is given back.
        learned: what is told with tokens.
    """
    inputs: dict[str, Input] = {}
    for table, per_client in (("connection_config", False), ("credentials", True), ("integration_config", True)):
        for name, said in (members.take(table, dict) or {}).items():
            if name in _IMPLIED and table == "credentials":
                continue
            if not isinstance(said, dict):
                members.give_back(f"{table}.{name}")
                continue
            inputs[str(name)] = _input(members, f"{table}.{name}", said, per_client=per_client)
    for name in members.texts("connection_configuration"):
        inputs.setdefault(name, Input(required=False))
    for name in learned & inputs.keys():
        del inputs[name]
    return inputs


def _input(members: Members, where: str, said: Mapping[str, Any], *, per_client: bool) -> Input:
    inner = Members({str(key): value for key, value in said.items()})
    kind = inner.take("type", str) or "string"
    texts = {ours: value for theirs, ours in _INPUT_TEXTS.items() if (value := inner.take(theirs, str)) is not None}
    learned = bool(inner.take("automated", bool))
    made = Input(
        type=kind,
        enum=inner.texts("enum") or None,
        required=not inner.take("optional", bool),
        secret=bool(inner.take("secret", bool)),
        hidden=bool(inner.take("hidden", bool)),
        learned=learned,
        order=inner.take("order", int),
        per_client=per_client,
        **texts,
    )
    for name in inner.not_expressed():
        members.give_back(f"{where}.{name}")
    return made


def inputs_of_hosts(endpoints: Endpoints, inputs: Mapping[str, Input], learned: set[str]) -> dict[str, Input]:
    """Return the inputs of addresses that the entry does not describe, and those in a host that lack a pattern."""
    made: dict[str, Input] = {}
    for name in endpoints.__struct_fields__:
        for each in placeholders(getattr(endpoints, name) or ""):
            if name == "revocation" and each == TOKEN:
                continue
            given = inputs.get(each)
            if given is None and each not in learned:
                made[each] = Input(pattern=HOST)
            elif given is not None and not (given.pattern or given.enum or given.format or given.learned):
                members = {field: getattr(given, field) for field in given.__struct_fields__}
                made[each] = Input(**{**members, "pattern": HOST})
    return made


def filled_in_elsewhere(
    inputs: Mapping[str, Input],
    endpoints: Endpoints,
    authorization: AuthorizationRequest,
    learned: set[str],
    calls: tuple[Call, ...],
) -> dict[str, Input]:
    """Return the inputs that a connection is given by code of that project before it begins: here, the client is."""
    before = {name for sent in authorization.parameters.values() for name in _named(sent)}
    for name in endpoints.__struct_fields__:
        before |= set(placeholders(getattr(endpoints, name) or ""))
    before |= asked_by(calls)
    return {
        name: msgspec.structs.replace(said, learned=False, per_client=True)
        for name, said in inputs.items()
        if said.learned and name in before - learned
    }


def asked_by(calls: tuple[Call, ...]) -> set[str]:
    """Return the placeholders of calls' addresses that no call tells."""
    told = {name for call in calls for name in call.tells}
    return {name for call in calls for name in placeholders(call.endpoint)} - told


def missing(authorization: AuthorizationRequest, *requests: TokenRequest | None) -> Iterator[str]:
    """Yield the placeholders of requests."""
    for sent in authorization.parameters.values():
        yield from _named(sent)
    for request in requests:
        if request is not None:
            for value in (*request.parameters.values(), *request.headers.values()):
                yield from _named(value)


def _named(sent: Sent) -> Iterator[str]:
    if isinstance(sent, str | tuple):
        yield from (each for each in placeholders(sent) if each not in {"random", "client_id", "client_secret"})
