"""Every request of every profile that comes along has what it asks for, nothing else, and each credential once."""

import json
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import pytest
from joserfc import jwk

from keyrack.crypto.secret import Secret
from keyrack.errors import ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.oauth.authorization_code import build_authorization_url, build_token_request
from keyrack.oauth.client_auth import SIGNED
from keyrack.oauth.client_auth import TokenEndpointAuthMethod as Method
from keyrack.oauth.long_lived import build_exchange_request
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.kinds import Grant, TokenTypeHint
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import TokenRequest
from keyrack.oauth.profiles.requests import refresh_of
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.revocation import build_revocation_request
from keyrack.oauth.wire import FormRequest
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_client_profile import client_profile
from keyrack.service.clients.profile_rules import ProfileRules

SECRET = "a-client-secret-of-more-than-thirty-two-bytes"
KEY = json.dumps(jwk.generate_key("EC", "P-256").as_dict(private=True))
CODE = {"grant_type", "code", "redirect_uri", "code_verifier"}
AUTHORIZATION = {
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
}  # fmt: skip
OF_METHOD = {
    Method.CLIENT_SECRET_POST: {"client_id", "client_secret"},
    Method.NONE: {"client_id"},
    Method.PRIVATE_KEY_JWT: {"client_id", "client_assertion", "client_assertion_type"},
    Method.CLIENT_SECRET_JWT: {"client_id", "client_assertion", "client_assertion_type"},
}


def usable() -> list[str]:
    found = []
    for name, profile in catalogue().items():
        try:
            ProfileRules(allow_insecure=False).checked(name, "/p")
        except ValidationFailed:
            continue
        if profile.grant is Grant.AUTHORIZATION_CODE:
            found.append(name)
    return found


def known(profile: ProviderProfile) -> ClientProfile:
    """Return what is known of a client with everything filled in that can be."""
    examples = {name: said.example or said.default or (said.enum or ("x",))[0] for name, said in profile.inputs.items()}
    credentials = {
        "client_id": "the-id",
        "client_secret": SECRET,
        "provider_profile": profile.name,
        "inputs": {name: text for name, text in examples.items() if profile.inputs[name].per_client},
    }
    made = CredentialRules(allow_insecure=False).made("oauth2", credentials)
    client = AuthClient("c", "t", None, None, profile.name, "oauth2", made | {"private_key": KEY})
    return client_profile(client, connection={"fields": examples})


def requests(known: ClientProfile, profile: ProviderProfile) -> Iterator[tuple[FormRequest, TokenRequest, set[str]]]:
    """Yield each request for tokens, what the profile says of it, and what the standard has in it."""
    verifier = Secret("v" * 43) if known.pkce else None
    code = build_token_request(known, code=Secret("c"), redirect_uri="https://k.example/callback", verifier=verifier)
    yield code, profile.token, CODE
    said = refresh_of(profile)
    yield build_refresh_request(known, Secret("r")), said, {"grant_type", "refresh_token"}
    if profile.exchange is not None:
        yield build_exchange_request(known, Secret("short")), profile.exchange, set()


def parts_with(request: FormRequest, text: str) -> list[str]:
    """Return the parts of a request that carry a text, decoded where it is encoded."""
    parts = [name for name, value in request.form if text in value]
    parts += [name for name, value in parse_qsl(urlsplit(request.url).query) if text in value]
    parts += [name for name, value in request.headers if text in value]
    kind, _, value = ("", "", "") if request.authorization is None else request.authorization.reveal().partition(" ")
    decoded = unquote_plus(b64decode(value).decode()) if kind == "Basic" else value
    return [*parts, "authorization"] if text in decoded else parts


@pytest.mark.parametrize("name", usable())
def test_a_request_for_tokens_has_nothing_that_nobody_asks_for(name: str) -> None:
    profile = catalogue()[name]
    client = known(profile)
    for request, said, usual in requests(client, profile):
        own = said.client_authentication or profile.client_authentication
        method = Method(own.method)
        names = [each for each, _ in request.form]
        assert len(set(names)) == len(names)
        allowed = usual | OF_METHOD.get(method, set())
        allowed |= set(said.parameters)
        assert set(names) <= {said.rename.get(each, each) for each in allowed}
        assert {each for each, _ in request.headers} <= {each.lower() for each in said.headers}
        in_query = {each for each, _ in parse_qsl(urlsplit(request.url).query)}
        assert in_query.isdisjoint(names)
        carrying = parts_with(request, SECRET)
        assert len(carrying) <= (0 if method in {*SIGNED, Method.NONE} else 1)
        if method in {Method.CLIENT_SECRET_BASIC, Method.CLIENT_SECRET_BASIC_RAW}:
            assert carrying == ["authorization"]
        elif method is Method.CLIENT_SECRET_POST:
            assert carrying == [said.rename.get("client_secret", "client_secret")]
        else:
            assert request.authorization is None


@pytest.mark.parametrize("name", usable())
def test_the_browser_and_the_revocation_get_no_more_either(name: str) -> None:
    profile = catalogue()[name]
    client = known(profile)
    challenge = "c" if client.pkce else None
    url = build_authorization_url(client, redirect_uri="https://k.example/cb", state="s", code_challenge=challenge)
    sent = [each for each, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    asked = AUTHORIZATION | set(profile.authorization.parameters) | {profile.scopes.user_parameter or "scope"}
    own = {each for each, _ in parse_qsl(urlsplit(client.authorization_endpoint).query)}
    assert len(set(sent)) == len(sent)
    assert set(sent) <= {profile.authorization.rename.get(each, each) for each in asked} | own
    assert SECRET not in url
    if client.revocation_endpoint is not None:
        made = build_revocation_request(
            client.revocation_endpoint,
            Secret("t"),
            TokenTypeHint.ACCESS_TOKEN,
            client.authentication,
            client.client_id,
            client.client_secret,
        )
        usual = {"token", "token_type_hint"} | OF_METHOD.get(client.token_endpoint_auth_method, set())
        assert {each for each, _ in made.form} == usual
        assert len(parts_with(made, SECRET)) <= 1
