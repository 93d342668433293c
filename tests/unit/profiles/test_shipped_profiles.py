"""The profiles that come along: each can be used by an auth client, or is refused with what is missing."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk

from keyrack.errors import ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.oauth.account import AccountSource, account_of
from keyrack.oauth.authorization_code import build_authorization_url
from keyrack.oauth.direct_grants import GRANT_TYPES, build_direct_request
from keyrack.oauth.profiles import catalogue as module
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, Grant
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import document_of, profile_of
from keyrack.oauth.profiles.templates import alternatives
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_client_profile import client_profile
from keyrack.service.clients.profile_rules import ProfileRules, wrong_inputs

MISSING = {
    "trello": "the grant oauth1",
}
"""Those that auth clients cannot use yet, and why."""
NAMES = sorted(catalogue())
DIRECT = [name for name in NAMES if catalogue()[name].grant in DIRECT_GRANTS]
USABLE = [name for name in NAMES if name not in {*MISSING, *DIRECT}]
KEY: str = jwk.generate_key("RSA", 2048).as_pem(private=True).decode()


@pytest.mark.parametrize("name", sorted(MISSING))
def test_one_that_cannot_be_used_yet_is_refused_with_what_is_missing(name: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        ProfileRules(allow_insecure=False).checked(name, "/p")
    assert [each.detail for each in refused.value.problems] == [f"{MISSING[name]} cannot be used with auth clients yet"]


def test_one_that_begins_at_the_provider_is_refused_by_its_member() -> None:
    endpoints = {"authorization": "https://p.example/a", "token": "https://p.example/t"}
    said = {"name": "p", "endpoints": endpoints, "authorization": {"starts_at_provider": True}}
    with pytest.raises(ValidationFailed) as refused:
        ProfileRules(allow_insecure=False).checked(said, "/p")
    assert [each.pointer for each in refused.value.problems] == ["/p/authorization/starts_at_provider"]


@pytest.mark.parametrize("name", USABLE)
def test_an_auth_client_with_its_inputs_sends_the_browser_to_the_provider(name: str) -> None:
    profile = catalogue()[name]
    of_client = filled_in(profile, per_client=True)
    fields = filled_in(profile, per_client=False)
    made = CredentialRules(allow_insecure=False).made("oauth2", credentials(name, of_client))
    assert made["provider_profile"] == document_of(profile)
    client = AuthClient("c", "t", None, None, name, "oauth2", made)
    known = client_profile(client, connection={"fields": fields})
    for address in (known.authorization_endpoint, known.token_endpoint, known.refresh_endpoint):
        assert re.fullmatch(r"https://[a-z0-9.-]+/[^{}]*", address or ""), address
    url = build_authorization_url(
        known, redirect_uri="https://k.example/callback", state="s", code_challenge="c" if known.pkce else None
    )
    sent = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert "{" not in url
    assert all(len(values) == 1 for values in sent.values())
    assert sent["state"] == ["s"]
    assert sent[profile.authorization.rename.get("client_id", "client_id")] == ["the-id"]
    assert ("code_challenge" in sent) == (profile.pkce != "off")


@pytest.mark.parametrize("name", DIRECT)
def test_one_that_needs_nobody_asks_its_provider_for_a_token(name: str) -> None:
    profile = catalogue()[name]
    given = credentials(name, filled_in(profile, per_client=True))
    if profile.grant is Grant.JWT_BEARER:
        given["private_key"] = KEY
    made = CredentialRules(allow_insecure=False).made("oauth2", given)
    assert made["provider_profile"] == document_of(profile)
    assert "auth_uri" not in made
    client = AuthClient("c", "t", None, None, name, "oauth2", made)
    known = client_profile(client, connection={"fields": filled_in(profile, per_client=False)})
    request = build_direct_request(known)
    assert re.fullmatch(r"https://[A-Za-z0-9.-]+/[^{}]*", request.url), request.url
    sent = dict(request.form)
    assert len(sent) == len(request.form)
    assert not [value for value in sent.values() if "{" in value]
    assert sent["grant_type"] == profile.token.parameters.get("grant_type", GRANT_TYPES[profile.grant])
    assert ("assertion" in sent) == (profile.grant is Grant.JWT_BEARER)


def test_only_passwords_are_legacy() -> None:
    inputs = {"username": {}, "password": {"secret": True}}
    said = {"name": "p", "endpoints": {"token": "https://p.example/token"}}
    assert profile_of({**said, "grant": "password", "inputs": inputs}).is_legacy
    assert [name for name in NAMES if catalogue()[name].is_legacy] == []


@pytest.mark.parametrize("name", NAMES)
def test_examples_and_defaults_have_the_form_that_is_asked_for(name: str) -> None:
    inputs = catalogue()[name].inputs
    given = {key: said.example for key, said in inputs.items() if said.example is not None}
    usual = {key: said.default for key, said in inputs.items() if said.default is not None}
    assert wrong_inputs(inputs, {**usual, **given}, "") == []
    assert wrong_inputs(inputs, {**given, **usual}, "") == []
    for key, said in inputs.items():
        assert said.title, key
        assert not said.required or said.example, f"{key} is required and has no example"


@pytest.mark.parametrize("name", NAMES)
def test_every_path_to_an_account_is_found_where_its_name_would_be(name: str) -> None:
    answer = catalogue()[name].answer
    for path in answer.account:
        assert account_of(AccountSource(None, (path,)), response={}, claims=nested(path)).label == "x", path
    for path in answer.account_id:
        assert account_of(AccountSource(None, (), (path,)), response={}, claims=nested(path)).subject == "x", path


@pytest.mark.parametrize("name", NAMES)
def test_every_address_in_it_is_https(name: str) -> None:
    for text in texts(document_of(catalogue()[name])):
        assert "http://" not in text
    endpoints = catalogue()[name].endpoints
    for member in endpoints.__struct_fields__:
        template = getattr(endpoints, member)
        for address in () if template is None else alternatives(template):
            assert address.startswith("https://"), member


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_to_register_and_what_has_cost_others_a_day(name: str) -> None:
    profile = catalogue()[name]
    assert len(profile.registration) >= 2
    assert profile.traps
    for sentence in (*profile.registration, *profile.traps, *(rule.says for rule in profile.rules)):
        assert sentence.endswith("."), sentence


def test_a_profile_has_the_name_of_its_file_and_says_no_other() -> None:
    files = sorted((Path(module.__file__).parent / "catalogue").iterdir(), key=lambda file: file.stem)
    assert [file.suffix for file in files] == [".toml"] * len(files)
    assert [file.stem for file in files] == NAMES == [catalogue()[name].name for name in NAMES]
    assert [file.stem for file in files if re.search(r"^name\s*=", file.read_text("utf-8"), re.MULTILINE)] == []


def test_there_are_sixty_or_more_and_each_is_somebody_else() -> None:
    assert len(NAMES) >= 60
    titles = [catalogue()[name].title for name in NAMES]
    assert len(set(titles)) == len(titles)


def test_only_grants_with_a_consent_have_a_consent() -> None:
    without = [name for name in NAMES if catalogue()[name].endpoints.authorization is None]
    assert without == DIRECT


def credentials(name: str, inputs: Mapping[str, str]) -> Json:
    secret = (
        {} if catalogue()[name].client_authentication.method in {"none", "fields"} else {"client_secret": "the-secret"}
    )
    given = {"inputs": dict(inputs)} if inputs else {}
    return {"client_id": "the-id", **secret, **given, "provider_profile": name}


def filled_in(profile: ProviderProfile, *, per_client: bool) -> dict[str, str]:
    """Return an example of each input that has no default."""
    return {
        key: said.example
        for key, said in profile.inputs.items()
        if said.per_client is per_client and said.default is None and said.example is not None
    }


def texts(value: Any) -> Iterator[str]:
    yield from re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(value))


def nested(path: str) -> dict[str, Any]:
    """Return an answer that has "x" at a path, and nothing else."""
    value: Any = "x"
    for step in reversed(path.split(".")):
        value = [value] if step == "0" else {step: value}
    found: dict[str, Any] = value
    return found
