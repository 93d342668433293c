"""What a provider's profile asks of refresh requests, callbacks and client authentication is done (decision 38)."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwk, jwt

from support.app import World, relationship
from support.consent import CALLBACK, query_of
from support.provider_profiles import make, profile_at, started
from support.raw_provider import RawConsents, RawProvider, tokens_answer

SECRET = "a-client-secret-of-more-than-thirty-two-bytes"


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


async def begun(desk: RawConsents, **attributes: Any) -> tuple[str, dict[str, str]]:
    """Begin a consent; return its id and the parameters that the browser takes along."""
    path = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
    named = {"auth_client": relationship("auth-client", desk.client_id)}
    body = {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": named}}
    answer = await desk.who.post(path, body)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return data["id"], query_of(data["attributes"]["authorization_url"])


async def ended(desk: RawConsents, consent_id: str) -> Any:
    path = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents/{consent_id}"
    return (await desk.who.get(path)).json()["data"]


async def test_scope_redirect_uri_and_resource_are_repeated_where_they_are_wanted(desk: RawConsents) -> None:
    resource = {"resource": "https://api.example/v1"}
    profile = profile_at(
        desk,
        authorization={"parameters": resource},
        token={"parameters": resource},
        refresh={"parameters": resource, "sends_scope": True, "sends_redirect_uri": True},
        scopes={"separator": ",", "default": ["a", "b"]},
    )
    assert (await make(desk, profile)).status_code == 201
    assert (await started(desk))["resource"] == "https://api.example/v1"
    secret_id = await desk.connect(tokens_answer(scope="a b"))
    assert desk.provider.forms[-1]["resource"] == "https://api.example/v1"
    assert (await desk.seen(secret_id))["requested_scopes"] == ["a", "b"]
    await desk.refresh(secret_id, tokens_answer())
    sent = desk.provider.forms[-1]
    assert (sent["scope"], sent["redirect_uri"], sent["resource"]) == ("a,b", CALLBACK, "https://api.example/v1")
    assert len(sent) == 7
    desk.provider.answers = [tokens_answer()]
    await make(desk, profile_at(desk))
    secret_id = await desk.connect(tokens_answer(scope="a"))
    await desk.refresh(secret_id, tokens_answer())
    assert sorted(desk.provider.forms[-1]) == ["client_id", "client_secret", "grant_type", "refresh_token"]


async def test_a_plain_challenge_is_the_verifier(desk: RawConsents) -> None:
    assert (await make(desk, profile_at(desk, pkce="plain"))).status_code == 201
    consent_id, asked = await begun(desk)
    assert asked["code_challenge_method"] == "plain"
    desk.provider.answers = [tokens_answer()]
    await desk.world.http.get(f"{CALLBACK}?{urlencode({'code': 'c', 'state': asked['state']})}")
    assert (await ended(desk, consent_id))["attributes"]["status"] == "completed"
    assert desk.provider.forms[-1]["code_verifier"] == asked["code_challenge"]


async def test_a_callback_has_the_provider_s_names_and_what_it_tells_is_kept(desk: RawConsents) -> None:
    profile = profile_at(
        desk,
        callback={"code": "auth_code", "state": "xstate", "learned": ["realmId", "scope"]},
        token={"parameters": {"realm": "{realmId}", "asked": "{scope}"}},
        refresh={"parameters": {"realm": "{realmId}"}},
    )
    assert (await make(desk, profile)).status_code == 201
    consent_id, asked = await begun(desk)
    desk.provider.answers = [tokens_answer()]
    told = {"auth_code": "c", "realmId": "4620816365", "other": "x", "scope": "s"}
    usual = await desk.world.http.get(f"{CALLBACK}?{urlencode({**told, 'state': asked['state']})}")
    assert usual.status_code == 400, "the state counts under the provider's name only"
    assert desk.provider.requests == []
    decoy = {"token": "A" * 43, "xstate": asked["state"]}
    first = await desk.world.http.get(f"{CALLBACK}?{urlencode({**told, **decoy})}")
    assert first.status_code == 200, first.text
    assert (await desk.world.http.get(f"{CALLBACK}?{urlencode({**told, **decoy})}")).status_code == 200, "told again"
    sent = desk.provider.forms[-1]
    assert (sent["code"], sent["realm"], sent["asked"]) == ("c", "4620816365", "s")
    secret_id = (await ended(desk, consent_id))["relationships"]["auth_secret"]["data"]["id"]
    assert (await desk.seen(secret_id))["credentials"]["undefined_params"] == {"realmId": "4620816365"}
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-2"))
    assert desk.provider.forms[-1]["realm"] == "4620816365"
    assert found["credentials"]["undefined_params"] == {"realmId": "4620816365"}


async def test_what_a_callback_tells_may_be_anything_and_is_bounded(desk: RawConsents) -> None:
    profile = profile_at(desk, callback={"learned": ["realmId"]}, token={"parameters": {"realm": "{realmId}"}})
    assert (await make(desk, profile)).status_code == 201
    for odd in ("x" * 501, "a\r\nb", ""):
        consent_id, asked = await begun(desk)
        desk.provider.answers = [tokens_answer()]
        query = urlencode({"code": "c", "state": asked["state"], "realmId": odd})
        assert (await desk.world.http.get(f"{CALLBACK}?{query}")).status_code == 200
        assert "realm" not in desk.provider.forms[-1]
        secret_id = (await ended(desk, consent_id))["relationships"]["auth_secret"]["data"]["id"]
        assert (await desk.seen(secret_id))["credentials"]["undefined_params"] == {}


async def test_a_client_signs_in_one_request_and_sends_its_secret_in_the_other(desk: RawConsents) -> None:
    key = jwk.generate_key("EC", "P-256", {"kid": "one"})
    signing = {"method": "private_key_jwt", "algorithm": "ES256", "audience": "https://as.example"}
    profile = profile_at(desk, token={"client_authentication": signing}, refresh={})
    missing = await make(desk, profile)
    assert missing.json()["errors"][0]["source"] == {"pointer": "/data/attributes/credentials/private_key"}
    text = json.dumps(key.as_dict(private=True))
    assert (await make(desk, profile, private_key=text, client_secret="")).status_code == 400
    assert (await make(desk, profile, private_key=text, client_secret=SECRET)).status_code == 201
    secret_id = await desk.connect(tokens_answer())
    code = desk.provider.forms[-1]
    assert "client_secret" not in code
    assert jwt.decode(code["client_assertion"], key, algorithms=["ES256"]).claims["aud"] == "https://as.example"
    await desk.refresh(secret_id, tokens_answer())
    assert desk.provider.forms[-1]["client_secret"] == SECRET
    assert "client_assertion" not in desk.provider.forms[-1]

    other = profile_at(desk, refresh={"client_authentication": {"method": "client_secret_jwt"}})
    assert (await make(desk, other, client_secret=SECRET)).status_code == 201
    secret_id = await desk.connect(tokens_answer())
    assert desk.provider.forms[-1]["client_secret"] == SECRET
    await desk.refresh(secret_id, tokens_answer())
    signed = desk.provider.forms[-1]
    assert "client_secret" not in signed
    claims = jwt.decode(signed["client_assertion"], jwk.import_key(SECRET, "oct"), algorithms=["HS256"]).claims
    assert claims["aud"] == desk.provider.token_endpoint


async def test_headers_of_any_case_replace_ours_and_nothing_is_sent_twice(desk: RawConsents) -> None:
    profile = profile_at(
        desk,
        endpoints={
            "authorization": f"{desk.provider.url}/authorize",
            "token": f"{desk.provider.token_endpoint}?grant_type=x&v=1",
        },
        token={"headers": {"ACCEPT": "text/json", "Authorization": "Key {client_secret}", "X-App": "{client_id}"}},
        client_authentication={"method": "client_secret_basic"},
    )
    assert (await make(desk, profile)).status_code == 201
    await desk.connect(tokens_answer())
    head, _, body = desk.provider.requests[-1].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /token?v=1 HTTP/1.1"
    sent = [
        line.partition(": ")[2] for line in lines if line.lower().startswith(("authorization:", "accept:", "x-app:"))
    ]
    assert sorted(sent) == ["Key the-secret", "text/json", "the-client"]
    assert b"the-secret" not in body
