"""Grants that are asked for at the token endpoint directly, with nobody in a browser.

Client credentials (RFC 6749 section 4.4), the resource owner's password (RFC 6749 section 4.3), an assertion
(RFC 7523 section 2.1), and token exchange (RFC 8693 section 2.1); only for clients with a provider profile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_assertion import signed
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, Grant
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import Template
from keyrack.oauth.profiles.requests import with_parameters
from keyrack.oauth.profiles.templates import filled
from keyrack.oauth.wire import FormRequest

GRANT_TYPES: Mapping[Grant, str] = {
    Grant.CLIENT_CREDENTIALS: "client_credentials",
    Grant.PASSWORD: "password",
    Grant.JWT_BEARER: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    Grant.TOKEN_EXCHANGE: "urn:ietf:params:oauth:grant-type:token-exchange",
}
"""`grant_type` of each."""
_CREDENTIALS = ("assertion", "client_assertion", "password", "subject_token", "actor_token")
"""Parameters with which somebody proves something."""

_Parameters = list[tuple[str, str]]


class MissingValueError(ValueError):
    """A request cannot be made, for want of a value; the text says of which."""


def build_direct_request(profile: ClientProfile, scopes: Sequence[str] = ()) -> FormRequest:
    """Return the request for the tokens of a direct grant. It may be sent any number of times, each made anew.

    Args:
        profile: the client and its provider, with the values that the connection fills in.
        scopes: what is asked for; none: what the provider's profile asks for usually.

    Raises:
        MissingValueError: a value is missing without which the grant makes no sense.
        UnusableKeyError: a key does not go with the algorithm that it should sign with.
    """
    provider = profile.provider
    if provider is None or provider.grant not in DIRECT_GRANTS:
        raise ValueError("the client's provider has no direct grant")
    usual = [("grant_type", GRANT_TYPES[provider.grant]), *_PARAMETERS_OF[provider.grant](profile, provider, scopes)]
    scope = _scope(provider, scopes)
    if scope and not (provider.grant is Grant.JWT_BEARER and provider.assertion.sends_scope):
        usual.append(("scope", scope))
    if profile.resource is not None:
        usual.append(("resource", profile.resource))
    request = profile.token_request(profile.token_endpoint, tuple(usual), profile.of_codes, provider.token)
    return replace(request, anew=partial(build_direct_request, profile, scopes))


def secrets_sent(profile: ClientProfile, request: FormRequest | None = None) -> list[Secret]:
    """Return what a provider must not be heard repeating: what the client and its connection prove themselves with.

    Args:
        profile: as for the request.
        request: the request; None: it is not known any more.
    """
    provider, found = profile.provider, [profile.client_secret]
    if provider is None:
        return found
    found += [
        Secret(profile.values[name]) for name, said in provider.inputs.items() if said.secret and name in profile.values
    ]
    names = {provider.token.rename.get(name, name) for name in _CREDENTIALS}
    return found + [Secret(value) for name, value in (request.form if request else ()) if name in names]


def _client_credentials(_profile: ClientProfile, _provider: ProviderProfile, _scopes: Sequence[str]) -> _Parameters:
    """RFC 6749 section 4.4.2: nothing but what all have."""
    return []


def _password(profile: ClientProfile, _provider: ProviderProfile, _scopes: Sequence[str]) -> _Parameters:
    """RFC 6749 section 4.3.2."""
    return [(name, _required(f"{{{name}}}", profile.values, name)) for name in ("username", "password")]


def _jwt_bearer(profile: ClientProfile, provider: ProviderProfile, scopes: Sequence[str]) -> _Parameters:
    """RFC 7523 sections 2.1 and 3; a subject that nothing is filled in for is left out, as some providers want it."""
    said, values = provider.assertion, {**profile.values, "client_id": profile.client_id}
    signer = profile.assertion_signer
    if signer is None:
        raise MissingValueError("there is no private key that the assertion could be signed with")
    issuer = profile.client_id if said.issuer is None else _required(said.issuer, values, "iss of the assertion")
    subject = issuer if said.subject is None else filled(said.subject, values)
    audience = signer.audience or profile.token_endpoint.partition("?")[0]
    usual = {"iss": issuer, **({} if subject is None else {"sub": subject}), "aud": audience}
    scope = _scope(provider, scopes)
    if scope and said.sends_scope:
        usual["scope"] = scope
    claims = with_parameters(usual, said.claims, {}, values)
    return [("assertion", signed(claims, signer, seconds=said.lifetime).reveal())]


def _token_exchange(profile: ClientProfile, provider: ProviderProfile, _scopes: Sequence[str]) -> _Parameters:
    """RFC 8693 section 2.1; audiences and resources that nothing is filled in for are left out."""
    said, values = provider.token_exchange, {**profile.values, "client_id": profile.client_id}
    if said is None:
        raise MissingValueError("the provider's profile does not say what is exchanged")
    found = [("subject_token", _required(said.subject_token, values, "subject_token"))]
    found.append(("subject_token_type", said.subject_token_type))
    actor = None if said.actor_token is None else filled(said.actor_token, values)
    if actor is not None:
        found += [("actor_token", actor), ("actor_token_type", said.actor_token_type)]
    if said.requested_token_type is not None:
        found.append(("requested_token_type", said.requested_token_type))
    for name, templates in (("audience", said.audience), ("resource", said.resource)):
        found += [(name, text) for each in templates if (text := filled(each, values)) is not None]
    return found


def _scope(provider: ProviderProfile, scopes: Sequence[str]) -> str:
    return provider.scopes.separator.join(scopes or provider.scopes.default)


def _required(template: Template, values: Mapping[str, str], name: str) -> str:
    text = filled(template, values)
    if text is None:
        raise MissingValueError(f"there is no value for {name}")
    return text


_PARAMETERS_OF: Mapping[Grant, Callable[[ClientProfile, ProviderProfile, Sequence[str]], _Parameters]] = {
    Grant.CLIENT_CREDENTIALS: _client_credentials,
    Grant.PASSWORD: _password,
    Grant.JWT_BEARER: _jwt_bearer,
    Grant.TOKEN_EXCHANGE: _token_exchange,
}
