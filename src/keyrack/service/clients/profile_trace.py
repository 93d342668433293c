"""Shows the requests that a provider profile makes, with example values, before a client is registered (`--trace`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient
from keyrack.oauth import authorization_code, oauth1
from keyrack.oauth.after_connecting import call_request
from keyrack.oauth.client_assertion import UnusableKeyError, new_key
from keyrack.oauth.device import build_device_authorization_request, build_device_token_request
from keyrack.oauth.direct_grants import MissingValueError, build_direct_request
from keyrack.oauth.introspection import build_introspection_request
from keyrack.oauth.long_lived import build_exchange_request
from keyrack.oauth.oauth1 import OAuth1Credentials
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.addresses import Place, filled_address, places
from keyrack.oauth.profiles.call_parts import Call
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, Grant
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.oauth1_requests import authorization_extras, temporary_credentials_address
from keyrack.oauth.profiles.reading import document_of
from keyrack.oauth.profiles.request_parts import OAuth1
from keyrack.oauth.profiles.templates import alternatives, placeholders
from keyrack.oauth.pushed_authorization import build_pushed_request, pushed_authorization_url
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.revocation import build_client_revocation, revocable_tokens
from keyrack.oauth.wire import FormRequest
from keyrack.provider.trace import shown_address, shown_request
from keyrack.service.clients.auth_client_profile import (
    FIELDS,
    INPUTS,
    PRIVATE_KEY,
    PROFILE,
    SECRET_FIELDS,
    client_profile,
    new_key_for,
)
from keyrack.service.clients.profile_rules import addresses_of, algorithms_of_key

_CLIENT_ID, _REDIRECT_URI = "example-client-id", "https://keyrack.example.com/callback/oauth2"
_SECRET = Secret("example-client-secret-0123456789abcdef")
_CODE, _TOKEN = Secret("example-authorization-code"), Secret("example-refresh-token")
_VERIFIER = Secret("example-code-verifier-example-code-verifier-1234")
EXAMPLE_SECRETS = (_SECRET, _CODE, _TOKEN, _VERIFIER)
"""What stands in the requests where a client, a person or a provider has a secret; shown as `***`."""
_NO_ADDRESS = "(its address is not known before an account is connected)"

_Example = tuple[str, str, Callable[[], FormRequest | str]]
"""What a request is for, where it goes, and what makes it: the request, or the address of a browser's."""


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
    """Return the requests of a profile's consent, refresh, revocation and introspection, in their order."""
    client = _example_client(profile)
    known = replace(client_profile(client, None, _example_connection(profile)), proof_key=new_key_for(client))
    secrets = (*EXAMPLE_SECRETS, *_secret_examples(profile))
    made = _of_oauth1(profile, known) if profile.grant is Grant.OAUTH1 else _of_oauth2(profile, known)
    return [
        ExampleRequest(purpose, _shown(make, secrets) if endpoint else _NO_ADDRESS) for purpose, endpoint, make in made
    ]


def _shown(make: Callable[[], FormRequest | str], secrets: Sequence[Secret]) -> str:
    try:
        made = make()
    except (MissingValueError, UnusableKeyError) as error:
        return f"(cannot be shown: {error})"
    return shown_address(made, secrets) if isinstance(made, str) else shown_request(made, secrets)


def _of_oauth2(profile: ProviderProfile, known: ClientProfile) -> Iterator[_Example]:
    if profile.grant in DIRECT_GRANTS:
        yield "Token request", known.token_endpoint, partial(build_direct_request, known)
    elif profile.grant is Grant.DEVICE_CODE:
        endpoint = known.device_authorization_endpoint or ""
        codes = partial(build_device_authorization_request, known, endpoint, scope=_example_scope(profile))
        yield "Device authorization request", endpoint, codes
        yield "Token request", known.token_endpoint, partial(build_device_token_request, known, _CODE)
    else:
        yield from _of_codes(profile, known)
    if profile.exchange is not None:
        yield "Exchange of the first token", known.exchange_endpoint, partial(build_exchange_request, known, _TOKEN)
    for call in profile.after_connecting:
        yield from _called(call, known)
    if profile.grant not in DIRECT_GRANTS:
        refresh = partial(
            build_refresh_request, known, _TOKEN, scope=_example_scope(profile), redirect_uri=_REDIRECT_URI
        )
        yield "Refresh request", known.refresh_endpoint or known.token_endpoint, refresh
    if profile.endpoints.revocation is not None:
        yield "Revocation request", known.revocation_endpoint or "", partial(_revocation, known)
    if profile.endpoints.introspection is not None:
        endpoint = known.introspection_endpoint or ""
        yield "Introspection request", endpoint, partial(build_introspection_request, known, endpoint, _TOKEN)


def _called(call: Call, known: ClientProfile) -> Iterator[_Example]:
    """Yield a call after connecting, its address filled in as far as that can be known."""
    address = filled_address(call.endpoint, known.client_values, known.values) or ""
    values = {**known.values, **known.placeholders}
    yield "Call after connecting", address, partial(call_request, call, address, known, _TOKEN, values)


def _of_codes(profile: ProviderProfile, known: ClientProfile) -> Iterator[_Example]:
    """Yield the requests of the authorization code grant; with pushed ones the browser's says no more than which."""
    scope = _example_scope(profile)
    parameters = authorization_code.authorization_parameters(
        known,
        redirect_uri=_REDIRECT_URI,
        state="example-state",
        scope=scope,
        code_challenge=known.code_challenge(_VERIFIER),
        nonce="example-nonce" if authorization_code.sends_nonce(known, scope) else None,
    )
    if profile.authorization.pushed:
        endpoint = known.pushed_authorization_endpoint or ""
        yield "Pushed authorization request", endpoint, partial(build_pushed_request, known, endpoint, parameters)
        address = partial(pushed_authorization_url, known, "urn:ietf:params:oauth:request_uri:example")
    else:
        address = partial(authorization_code.authorization_url, known, parameters)
    yield "Authorization request, by the browser", known.authorization_endpoint, address
    token = partial(
        authorization_code.build_token_request,
        known,
        code=_CODE,
        redirect_uri=_REDIRECT_URI,
        verifier=_VERIFIER if known.pkce else None,
    )
    yield "Token request", known.token_endpoint, token


def _example_scope(profile: ProviderProfile) -> str:
    return " ".join(profile.scopes.default or ("example-scope", "another-scope"))


def _revocation(known: ClientProfile) -> FormRequest:
    hint = revocable_tokens(known.provider)[0]
    return build_client_revocation(known, known.revocation_endpoint or "", _TOKEN, hint)


def _of_oauth1(profile: ProviderProfile, known: ClientProfile) -> Iterator[_Example]:
    """Yield the requests of OAuth 1.0a, whose parameters are in a header, signed (RFC 5849 section 3.5.1)."""
    temporary, at = OAuth1Credentials(_CODE, _SECRET), datetime.now(UTC)
    endpoint = temporary_credentials_address(profile, known.values)
    method = (profile.oauth1 or OAuth1()).signature_method
    known = replace(known, temporary_credentials_endpoint=endpoint, signature_method=method)
    first = partial(oauth1.build_temporary_request, known, callback=_REDIRECT_URI, at=at)
    yield "Request for temporary credentials", endpoint or "", first
    extras, token = authorization_extras(profile, known.values), Secret("example-temporary-token")
    address = partial(oauth1.build_authorization_url, known.authorization_endpoint, token, extras)
    yield "Authorization request, by the browser", known.authorization_endpoint, address
    yield "Token request", known.token_endpoint, partial(oauth1.build_token_request, known, temporary, _VERIFIER, at=at)


def _example_client(profile: ProviderProfile) -> AuthClient:
    credentials: dict[str, Any] = {
        "client_id": _CLIENT_ID,
        "client_secret": _SECRET.reveal(),
        "auth_uri": "",
        "token_uri": "",
        **addresses_of(profile),
        PROFILE: document_of(profile),
        INPUTS: {name: value for name, value in _examples(profile).items() if profile.inputs[name].per_client},
    }
    for algorithm in algorithms_of_key(profile):
        credentials[PRIVATE_KEY] = _example_key(algorithm)
    return AuthClient("", "", None, None, profile.title, "oauth2", credentials)


def _example_connection(profile: ProviderProfile) -> Mapping[str, Any]:
    learned: dict[str, Any] = dict.fromkeys((*profile.answer.learned, *profile.learned), "example")
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
    return str(new_key(algorithm).as_pem(private=True).decode())
