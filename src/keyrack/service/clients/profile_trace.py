"""Shows the requests that a provider profile makes, with example values, before a client is registered (`--trace`)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from joserfc import jwk

from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient
from keyrack.oauth import authorization_code, oauth1, pkce
from keyrack.oauth.client_assertion import KEY_TYPES, UnusableKeyError
from keyrack.oauth.device import build_device_authorization_request, build_device_token_request
from keyrack.oauth.direct_grants import MissingValueError, build_direct_request
from keyrack.oauth.long_lived import build_exchange_request
from keyrack.oauth.oauth1 import OAuth1Credentials
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.addresses import Place, places
from keyrack.oauth.profiles.model import DIRECT_GRANTS, AuthMethod, Grant, Input, ProviderProfile
from keyrack.oauth.profiles.oauth1_requests import authorization_extras, temporary_credentials_address
from keyrack.oauth.profiles.reading import document_of
from keyrack.oauth.profiles.templates import alternatives, placeholders
from keyrack.oauth.pushed_authorization import build_pushed_request, pushed_authorization_url
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.revocation import TokenTypeHint, build_revocation_request
from keyrack.provider.trace import shown_address, shown_request
from keyrack.service.clients.auth_client_profile import (
    FIELDS,
    INPUTS,
    PRIVATE_KEY,
    PROFILE,
    SECRET_FIELDS,
    algorithm_of,
    client_profile,
)
from keyrack.service.clients.profile_rules import ADDRESSES

_CLIENT_ID, _REDIRECT_URI = "example-client-id", "https://keyrack.example.com/callback/oauth2"
_SECRET = Secret("example-client-secret-0123456789abcdef")
_CODE, _TOKEN = Secret("example-authorization-code"), Secret("example-refresh-token")
_VERIFIER = Secret("example-code-verifier-example-code-verifier-1234")
EXAMPLE_SECRETS = (_SECRET, _CODE, _TOKEN, _VERIFIER)
"""What stands in the requests where a client, a person or a provider has a secret; shown as `***`."""
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_RSA_BITS = 2048
_NO_ADDRESS = "(its address is not known before an account is connected)"


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """One request of a profile.

    Attributes:
        purpose: what it is for.
        text: the request as it would go out, with `***` for secrets; or why it cannot be shown.
    """

    purpose: str
    text: str


def example_requests(profile: ProviderProfile) -> Sequence[ExampleRequest]:
    """Return the requests of a profile's consent, refresh and revocation, in the order in which they are made."""
    known = client_profile(_example_client(profile), None, _example_connection(profile))
    secrets = (*EXAMPLE_SECRETS, *_secret_examples(profile))
    if profile.grant is Grant.OAUTH1:
        return _of_oauth1(profile, known, secrets)
    return [
        ExampleRequest(purpose, _shown(make) if endpoint else _NO_ADDRESS)
        for purpose, endpoint, make in _requests(profile, known, secrets)
    ]


def _requests(
    profile: ProviderProfile, known: ClientProfile, secrets: Sequence[Secret]
) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield what each request is for, where it goes, and what makes it."""
    if profile.grant in DIRECT_GRANTS:
        yield "Token request", known.token_endpoint, lambda: shown_request(build_direct_request(known), secrets)
    elif profile.grant is Grant.DEVICE_CODE:
        endpoint = known.device_authorization_endpoint or ""
        yield (
            "Device authorization request",
            endpoint,
            lambda: shown_request(
                build_device_authorization_request(known, endpoint, scope=_example_scope(profile)), secrets
            ),
        )
        yield (
            "Token request",
            known.token_endpoint,
            lambda: shown_request(build_device_token_request(known, _CODE), secrets),
        )
    else:
        yield from _of_codes(profile, known, secrets)
    if profile.exchange is not None:
        exchange = partial(build_exchange_request, known, _TOKEN)
        yield "Exchange of the first token", known.exchange_endpoint, lambda: shown_request(exchange(), secrets)
    if profile.grant not in DIRECT_GRANTS:
        refreshing = known.refresh_endpoint or known.token_endpoint
        yield "Refresh request", refreshing, lambda: shown_request(build_refresh_request(known, _TOKEN), secrets)
    if profile.endpoints.revocation is not None:
        yield "Revocation request", known.revocation_endpoint or "", partial(_revocation, known, secrets)


def _of_codes(
    profile: ProviderProfile, known: ClientProfile, secrets: Sequence[Secret]
) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield the requests of the authorization code grant; with pushed ones the browser's says no more than which."""
    browser, parameters = "Authorization request, by the browser", partial(_parameters, profile, known)
    if profile.authorization.pushed:
        endpoint = known.pushed_authorization_endpoint or ""
        pushed = partial(build_pushed_request, known, endpoint)
        yield "Pushed authorization request", endpoint, lambda: shown_request(pushed(parameters()), secrets)
        address = partial(pushed_authorization_url, known, "urn:ietf:params:oauth:request_uri:example")
        yield browser, known.authorization_endpoint, lambda: shown_address(address(), secrets)
    else:
        url = partial(authorization_code.authorization_url, known)
        yield browser, known.authorization_endpoint, lambda: shown_address(url(parameters()), secrets)
    yield "Token request", known.token_endpoint, partial(_token_request, known, secrets)


def _shown(make: Callable[[], str]) -> str:
    try:
        return make()
    except (MissingValueError, UnusableKeyError) as error:
        return f"(cannot be shown: {error})"


def _parameters(profile: ProviderProfile, known: ClientProfile) -> Mapping[str, str]:
    return authorization_code.authorization_parameters(
        known,
        redirect_uri=_REDIRECT_URI,
        state="example-state",
        scope=_example_scope(profile),
        code_challenge=pkce.challenge(_VERIFIER) if known.pkce else None,
    )


def _example_scope(profile: ProviderProfile) -> str:
    return " ".join(profile.scopes.default or ("example-scope", "another-scope"))


def _token_request(known: ClientProfile, secrets: Sequence[Secret]) -> str:
    request = authorization_code.build_token_request(
        known, code=_CODE, redirect_uri=_REDIRECT_URI, verifier=_VERIFIER if known.pkce else None
    )
    return shown_request(request, secrets)


def _revocation(known: ClientProfile, secrets: Sequence[Secret]) -> str:
    request = build_revocation_request(
        known.revocation_endpoint or "",
        _TOKEN,
        TokenTypeHint.REFRESH_TOKEN,
        known.authentication,
        known.client_id,
        known.client_secret,
    )
    return shown_request(request, secrets)


def _of_oauth1(profile: ProviderProfile, known: ClientProfile, secrets: Sequence[Secret]) -> Sequence[ExampleRequest]:
    """Return the requests of OAuth 1.0a, whose parameters are in a header, signed (RFC 5849 section 3.5.1)."""
    temporary, at = OAuth1Credentials(_CODE, _SECRET), datetime.now(UTC)
    endpoint = temporary_credentials_address(profile, known.values)
    known = replace(known, temporary_credentials_endpoint=endpoint)
    if not (endpoint and known.authorization_endpoint and known.token_endpoint):
        return [ExampleRequest("Requests", _NO_ADDRESS)]
    first = oauth1.build_temporary_request(known, callback=_REDIRECT_URI, at=at)
    last = oauth1.build_token_request(known, temporary, _VERIFIER, at=at)
    extras = authorization_extras(profile, known.values)
    address = oauth1.build_authorization_url(known.authorization_endpoint, Secret("example-temporary-token"), extras)
    return [
        ExampleRequest("Request for temporary credentials", shown_request(first, secrets)),
        ExampleRequest("Authorization request, by the browser", shown_address(address, secrets)),
        ExampleRequest("Token request", shown_request(last, secrets)),
    ]


def _example_client(profile: ProviderProfile) -> AuthClient:
    said = {name: getattr(profile.endpoints, endpoint) for name, endpoint in ADDRESSES.items()}
    credentials: dict[str, Any] = {
        "client_id": _CLIENT_ID,
        "client_secret": _SECRET.reveal(),
        "auth_uri": "",
        "token_uri": "",
        **{name: alternatives(template)[0] for name, template in said.items() if template is not None},
        PROFILE: document_of(profile),
        INPUTS: {name: value for name, value in _examples(profile).items() if profile.inputs[name].per_client},
    }
    if profile.client_authentication.method is AuthMethod.PRIVATE_KEY_JWT:
        credentials[PRIVATE_KEY] = _example_key(algorithm_of(profile.client_authentication))
    elif profile.grant is Grant.JWT_BEARER:
        credentials[PRIVATE_KEY] = _example_key(profile.assertion.algorithm)
    return AuthClient("", "", None, None, profile.title, "oauth2", credentials)


def _example_connection(profile: ProviderProfile) -> Mapping[str, Any]:
    learned: dict[str, Any] = dict.fromkeys(profile.answer.learned, "example")
    examples = _examples(profile)
    return {FIELDS: examples, SECRET_FIELDS: examples, "undefined_params": learned}


def _examples(profile: ProviderProfile) -> Mapping[str, str]:
    addresses = (getattr(profile.endpoints, name) for name in profile.endpoints.__struct_fields__)
    starts = {
        name
        for template in addresses
        for text in alternatives(template or ())
        for name, place, _ in places(text)
        if place is Place.START
    }
    keys = dict.fromkeys(placeholders(profile.assertion.key or ()), profile.assertion.algorithm)
    return {
        name: _example_key(keys[name]) if name in keys else _example(name, said, begins=name in starts)
        for name, said in profile.inputs.items()
    }


def _example(name: str, said: Input, *, begins: bool) -> str:
    known = said.default or said.example or (said.enum[0] if said.enum else None)
    if known:
        return known
    if begins or said.format == "uri":
        return "https://server.example.com"
    return {"hostname": "server.example.com", "uuid": "00000000-0000-4000-8000-000000000000"}.get(
        said.format or "", f"example-{name.replace('_', '-').replace('.', '-')}"
    )


def _secret_examples(profile: ProviderProfile) -> Sequence[Secret]:
    examples = _examples(profile)
    return [Secret(examples[name]) for name, said in profile.inputs.items() if said.secret and name in examples]


@cache
def _example_key(algorithm: str) -> str:
    """Return a private key of no use; one for all examples, since it takes long to make."""
    kind = KEY_TYPES.get(algorithm[:2], "RSA")
    if kind == "RSA":
        return jwk.RSAKey.generate_key(_RSA_BITS).as_pem(private=True).decode()
    key = (
        jwk.ECKey.generate_key(_CURVES.get(algorithm, "P-256")) if kind == "EC" else jwk.OKPKey.generate_key("Ed25519")
    )
    return json.dumps(key.as_dict(private=True))
