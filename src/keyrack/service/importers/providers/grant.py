"""Converts an `oauth.json` in the format of the npm package grant: each entry becomes a profile."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyrack.oauth.profiles.kinds import AuthMethod, Grant, Pkce
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.request_parts import (
    AuthorizationRequest,
    ClientAuthentication,
    Endpoints,
    Scopes,
    Sent,
    Template,
)
from keyrack.oauth.profiles.templates import placeholders
from keyrack.service.importers.providers.client_inputs import bounded_inputs
from keyrack.service.importers.providers.conversion import HOST, ConvertedEntry, Members, checked, profile_name

_PLACEHOLDER = re.compile(r"\[([A-Za-z0-9_]+)\]")
_MODES = {1: ("OAUTH1", Grant.OAUTH1), 2: ("OAUTH2", Grant.AUTHORIZATION_CODE)}
_METHODS = {
    "client_secret_basic": AuthMethod.CLIENT_SECRET_BASIC,
    "client_secret_post": AuthMethod.CLIENT_SECRET_POST,
    "private_key_jwt": AuthMethod.PRIVATE_KEY_JWT,
    "none": AuthMethod.NONE,
}


def converted(catalogue: Mapping[str, Any]) -> Iterator[ConvertedEntry]:
    """Yield each entry of a catalogue as a profile.

    Args:
        catalogue: what the file holds, by name.
    """
    for name, entry in catalogue.items():
        if isinstance(entry, dict) and entry.get("oauth") in _MODES:
            yield _converted(str(name), entry)


def _converted(name: str, entry: Mapping[str, Any]) -> ConvertedEntry:
    members = Members(entry)
    mode, grant = _MODES[members.take("oauth", int)]
    endpoints = Endpoints(
        authorization=_template(members.take("authorize_url", str)),
        token=_template(members.take("access_url", str)),
        temporary_credentials=_template(members.take("request_url", str)) if grant is Grant.OAUTH1 else None,
        userinfo=_template(members.take("profile_url", str)),
    )
    named = [each for field in endpoints.__struct_fields__ for each in placeholders(getattr(endpoints, field) or "")]
    inputs = {each: Input(title=each.capitalize(), pattern=HOST) for each in named}
    scope = members.take("scope", str)
    scopes = members.texts("scope") or (() if scope is None else (scope,))
    pkce = members.take("pkce", bool)
    return checked(
        name,
        mode,
        ProviderProfile(
            name=profile_name(name),
            title=name,
            grant=grant,
            inputs=bounded_inputs(endpoints, inputs, set()),
            endpoints=endpoints,
            authorization=AuthorizationRequest(parameters=_custom(members)),
            client_authentication=_authentication(members),
            scopes=Scopes(separator=members.take("scope_delimiter", str) or ",", default=scopes),
            pkce=Pkce.S256 if pkce else Pkce.OFF,
        ),
        members,
    )


def _custom(members: Members) -> dict[str, Sent]:
    given = members.take("custom_params", dict) or {}
    for name, value in given.items():
        if not isinstance(value, str | int | bool):
            members.give_back(f"custom_params.{name}")
    return {str(name): value for name, value in given.items() if isinstance(value, str | int | bool)}


def _authentication(members: Members) -> ClientAuthentication:
    said = members.take("token_endpoint_auth_method", str)
    if said is not None and said not in _METHODS:
        members.give_back("token_endpoint_auth_method")
    return ClientAuthentication(
        method=_METHODS.get(said or "", AuthMethod.CLIENT_SECRET_POST),
        algorithm=members.take("token_endpoint_auth_signing_alg", str),
    )


def _template(text: str | None) -> Template | None:
    return None if text is None else _PLACEHOLDER.sub(r"{\1}", text)
