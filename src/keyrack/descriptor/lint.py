"""Judges a component.json as its developer wants to hear it: what is refused, and what only looks wrong.

The API refuses and warns by this, and so does `keyrack components lint`. Errors are those of `parse_descriptor`; a
warning never keeps a build from being accepted (contract 0.9).
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from keyrack.descriptor.link import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from keyrack.descriptor.model import Descriptor, Generation
from keyrack.descriptor.oauth_blocks import member_pointer
from keyrack.descriptor.oauth_members import Member, members_of
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.spelling import misspelt
from keyrack.descriptor.template import placeholders, sole_placeholder
from keyrack.descriptor.workable import URIS, missing_uris, wrong_uris
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.known_names import close_to
from keyrack.validation.storable import MAX_PROBLEMS

_INSECURE = "KEYRACK_ALLOW_INSECURE_PROVIDERS"
_KEYS = {"oauth2": ("client_id", "client_secret"), "oauth1": ("consumer_key", "consumer_secret")}
_AUTH_CLIENT_TYPES = ("basic", "api_key", "oauth2", "oauth2_instagram", "noauth")
_HOST = re.compile(r"https?://(\[[^\]/?]*\]|[^/?:{}]+)(?=[:/?]|$)", re.IGNORECASE)
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to say of a component.json; pointers start at the descriptor.

    Attributes:
        errors: why a build with it is refused; empty if it is not.
        warnings: what looks wrong.
    """

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def lint(raw: object) -> Findings:
    """Judge a component.json; at most 100 errors and 100 warnings.

    Args:
        raw: a parsed JSON value, as submitted.
    """
    try:
        return Findings((), _first(_warnings(parse_descriptor(raw, new=True))))
    except ValidationFailed as refused:
        errors = tuple(refused.problems)
    told = {problem.pointer for problem in errors}
    return Findings(errors, _first(each for each in _of_refused(raw) if each.pointer not in told))


def _of_refused(raw: object) -> Iterator[Problem]:
    """Yield what looks wrong beside what is."""
    try:
        descriptor = parse_descriptor(raw)
    except ValidationFailed:
        if isinstance(raw, Mapping):
            yield from misspelt(raw)
    else:
        yield from _warnings(descriptor)


def _first(problems: Iterator[Problem]) -> tuple[Problem, ...]:
    return tuple(islice(problems, MAX_PROBLEMS))


def _warnings(descriptor: Descriptor) -> Iterator[Problem]:
    yield from misspelt(descriptor.raw)
    if descriptor.generation is Generation.SECRETS:
        yield from _second_generation(descriptor)
    elif descriptor.generation is Generation.CREDENTIALS:
        yield from _first_generation(descriptor)
    elif descriptor.use_oauth_client:
        pointer = "/useOAuthClient" if descriptor.raw.get("useOAuthClient") else "/credentials/useOAuthClient"
        yield Problem("there is neither an oauth2 nor an oauth1 block, so no OAuth client is ever used", pointer)
    elif descriptor.oauth_field is not None and not descriptor.uses_http_auth:
        yield Problem(
            "takes an OAuth token, but there is neither an oauth2 nor an oauth1 block to get one with",
            f"/credentials/fields/{descriptor.oauth_field}",
        )


def _second_generation(descriptor: Descriptor) -> Iterator[Problem]:
    for index, kind in enumerate(descriptor.auth_client_types):
        if kind not in _AUTH_CLIENT_TYPES and (meant := close_to(kind, _AUTH_CLIENT_TYPES)):
            yield Problem(f"is a type of its own; {meant} is probably meant", f"/authClientTypes/{index}")
    yield from wrong_uris(members_of(descriptor))


def _first_generation(descriptor: Descriptor) -> Iterator[Problem]:
    members = tuple(members_of(descriptor))
    if descriptor.oauth_field is None:
        detail = "no field has the viewClass OAuthFieldView, so nobody can connect an account"
        yield Problem(detail, "/credentials/fields")
        yield from missing_uris(members)
    if descriptor.uses_http_auth:
        yield from wrong_uris(members)
        return
    yield from _insecure_uris(members)
    yield from _links(descriptor)
    yield from _undeclared(descriptor, members)


def _insecure_uris(members: Iterable[Member]) -> Iterator[Problem]:
    for member in members:
        text = member.text.strip()
        if member.name not in (*URIS, "issuer"):
            continue
        if text.lower().startswith("http:"):
            yield Problem(f"is not https: it works only where the operator has set {_INSECURE}", member.pointer)
        elif (host := _HOST.match(text)) and _is_private(host[1]):
            yield Problem(f"is a private address: it works only where the operator has set {_INSECURE}", member.pointer)


def _is_private(host: str) -> bool:
    if host.lower().rstrip(".").rpartition(".")[2] == "localhost":
        return True
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return False


def _links(descriptor: Descriptor) -> Iterator[Problem]:
    """Yield keys of the client that reach no variable, or that everybody can read (contract 18.1)."""
    block = "oauth1" if descriptor.oauth2 is None else "oauth2"
    public = descriptor.oauth2 is not None and descriptor.oauth2.client_auth == "none"
    for name in _KEYS[block]:
        text = getattr(descriptor.oauth2 or descriptor.oauth1, name) or ""
        pointer, is_secret = member_pointer(descriptor.raw, block, name), name.endswith("secret")
        if is_secret and text and not placeholders(text):
            detail = "is a secret for all who can read the component's source: write {{NAME}}, a variable of envVars"
            yield Problem(detail, pointer)
        elif text or (is_secret and public):
            if text and descriptor.use_oauth_client and sole_placeholder(text) is None:
                yield Problem(
                    f"is not exactly one {{{{NAME}}}}, so no variable gets the OAuth client's {name}", pointer
                )
        elif descriptor.env_vars:
            names = ", ".join(islice(descriptor.env_vars, 5))
            detail = (
                f"is empty, so no variable of envVars gets the OAuth client's {name}: write {{{{NAME}}}} with its name"
            )
            yield Problem(f"{detail} ({names[:_MAX_NAME]})", pointer)
        elif not descriptor.use_oauth_client:
            yield Problem("is empty, and useOAuthClient is not set: there is no client to connect with", pointer)


def _undeclared(descriptor: Descriptor, members: Iterable[Member]) -> Iterator[Problem]:
    """Yield templates that name a variable which is neither declared, nor a field, nor the OAuth client's."""
    known = {*descriptor.env_vars, *descriptor.fields}
    if descriptor.use_oauth_client:
        known |= {CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE}
    for member in members:
        for name in dict.fromkeys(placeholders(member.text)):
            if name not in known:
                yield Problem(f"names {name[:_MAX_NAME]}, which is neither in envVars nor a field", member.pointer)
