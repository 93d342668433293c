"""Judges and keeps what a connection fills in for its auth client's provider profile. Pure functions.

What a profile calls secret is kept in `secret_fields` beside `fields`, in the same sealed credentials: `fields` are
shown to whoever may read the credentials, and nobody is ever shown the others.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from keyrack.errors import Problem
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.oauth.profiles.kinds import Grant
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.scopes import split_scope
from keyrack.service.clients.auth_client_credentials import SCOPE
from keyrack.service.clients.auth_client_profile import FIELDS, SECRET_FIELDS, direct_grant, filled_in, provider_of
from keyrack.service.clients.profile_rules import wrong_inputs

_PASSWORD = "password"  # noqa: S105 - the name of an input


def asked_inputs(client: AuthClient) -> dict[str, Input]:
    """Return what each connection of a client fills in, by its profile; nothing without one."""
    provider = provider_of(client)
    return {} if provider is None else _asked(provider)


def wrong_connection_inputs(client: AuthClient, credentials: Mapping[str, Any], pointer: str) -> list[Problem]:
    """Return what is wrong with what a connection that has tokens fills in: what was for connecting only may be gone.

    Args:
        client: whose profile asks for it.
        credentials: of the connection.
        pointer: of `fields` in the request.
    """
    asked = {
        name: replace(said, required=said.required and not said.once) for name, said in asked_inputs(client).items()
    }
    return wrong_inputs(asked, filled_in(credentials), pointer)


def kept_apart(client: AuthClient, credentials: Json) -> Json:
    """Return credentials with the values of secret inputs out of `fields`, among those that are never shown."""
    fields, secret = credentials.get(FIELDS), {name for name, said in asked_inputs(client).items() if said.secret}
    if not isinstance(fields, Mapping) or secret.isdisjoint(fields):
        return credentials
    known = credentials.get(SECRET_FIELDS)
    hidden = {
        **(known if isinstance(known, Mapping) else {}),
        **{name: fields[name] for name in secret & fields.keys()},
    }
    shown = {name: value for name, value in fields.items() if name not in secret}
    return {**credentials, FIELDS: shown, SECRET_FIELDS: {name: each for name, each in hidden.items() if each}}


def usual_scopes(client: AuthClient) -> tuple[str, ...]:
    """Return what is asked for where nobody names scopes: the client's own, else those of its profile."""
    provider, own = provider_of(client), split_scope(client.credentials.get(SCOPE) or "")
    return own or (() if provider is None else provider.scopes.default)


def renews_itself(client: AuthClient, credentials: Mapping[str, Any]) -> bool:
    """Tell whether tokens can be got again without a person and without a refresh token."""
    if direct_grant(client) is None:
        return False
    given = filled_in(credentials)
    return all(given.get(name) for name, said in asked_inputs(client).items() if is_needed(said))


def is_needed(said: Input) -> bool:
    """Tell whether an input must be filled in: it has no value otherwise."""
    return said.required and said.default is None and not said.learned


def without_spent_inputs(client: AuthClient, credentials: Json) -> Json:
    """Return the credentials of a connection that has tokens without what was filled in for getting the first only."""
    once = {name for name, said in asked_inputs(client).items() if said.once}
    kept = {
        name: {each: text for each, text in value.items() if each not in once}
        for name, value in credentials.items()
        if once and name in (FIELDS, SECRET_FIELDS) and isinstance(value, Mapping)
    }
    return _without_spent_password(client, {**credentials, **kept})


def _without_spent_password(client: AuthClient, credentials: Json) -> Json:
    """Return credentials without the password where a refresh token has taken its place (RFC 6749 section 4.3)."""
    provider, hidden = provider_of(client), credentials.get(SECRET_FIELDS)
    if provider is None or provider.grant is not Grant.PASSWORD or provider.keeps_password:
        return credentials
    if not credentials.get("refresh_token") or not isinstance(hidden, Mapping) or _PASSWORD not in hidden:
        return credentials
    return {**credentials, SECRET_FIELDS: {name: each for name, each in hidden.items() if name != _PASSWORD}}


def _asked(provider: ProviderProfile) -> dict[str, Input]:
    return {name: said for name, said in provider.inputs.items() if not said.per_client}
