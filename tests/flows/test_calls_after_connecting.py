"""What a profile wants known of a connection is asked for once there is a token, and never costs the connection."""

import json
from typing import Any

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.oauth.profiles.of_blocks import profile_of_block
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.store.auth_secrets import AuthSecrets
from support.app import World, relationship
from support.provider_profiles import make, profile_at
from support.raw_provider import RawConsents, RawProvider, json_answer, tokens_answer
from support.waits_and_faults import fail_once

SITES = [{"id": "s1", "url": "https://a.p.example"}, {"id": "s2", "url": "https://b.p.example"}]


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


def asking(desk: RawConsents, *more: dict[str, Any], **members: Any) -> dict[str, Any]:
    url = desk.provider.url
    sites = {"endpoint": f"{url}/sites", "choose": [{"url": "*://{site}.*"}, {}], "learned": {"site_id": "id"}}
    owner = {"endpoint": f"{url}/{{site_id}}/me", "learned": {"owner": "name"}}
    return profile_at(
        desk,
        inputs={"site": {"required": False, "pattern": "[a-z]+"}, "owner": {"required": False}},
        after_connecting=[sites, owner, *more],
        pkce="off",
        **members,
    )


def lines(desk: RawConsents) -> list[str]:
    return [request.partition(b" HTTP")[0].decode() for request in desk.provider.requests]


async def connected(desk: RawConsents, *answers: Any, **attributes: Any) -> dict[str, Any]:
    bodies = [each if isinstance(each, bytes) else json_answer(json.dumps(each)) for each in answers]
    done = await desk.consent(tokens_answer(), *bodies, **attributes)
    assert done["attributes"]["status"] == "completed", done
    return await desk.seen(done["relationships"]["auth_secret"]["data"]["id"])


async def test_one_call_tells_where_the_next_goes_and_a_refresh_keeps_what_was_told(desk: RawConsents) -> None:
    assert (await make(desk, asking(desk))).status_code == 201
    found = await connected(desk, SITES, {"name": "Alice"}, fields={"site": "b"})
    assert found["credentials"]["undefined_params"] == {"site_id": "s2", "owner": "Alice"}
    assert lines(desk) == ["POST /token", "GET /sites", "GET /s2/me"]
    assert b"authorization: bearer at" in desk.provider.requests[1].lower()
    assert b"the-secret" not in b"".join(desk.provider.requests[1:])


async def test_what_was_filled_in_is_not_asked_for(desk: RawConsents) -> None:
    assert (await make(desk, asking(desk))).status_code == 201
    found = await connected(desk, SITES, fields={"owner": "Bob"})
    assert found["credentials"]["undefined_params"] == {"site_id": "s1"}
    assert lines(desk) == ["POST /token", "GET /sites"]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer("{}", status="500 Oops"),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        json_answer("<html>"),
        json_answer('[{"id": {"no": "text"}}]'),
        json_answer('[{"id": "../../admin"}]'),
        b"",
    ],
)
async def test_whatever_is_answered_the_account_is_connected(desk: RawConsents, answer: bytes) -> None:
    assert (await make(desk, asking(desk))).status_code == 201
    found = await connected(desk, answer)
    assert found["state"] == "ready"
    assert "owner" not in found["credentials"]["undefined_params"]
    assert lines(desk)[1:] == ["GET /sites"], "where nothing fits the address, nothing is asked"


async def test_without_a_person_too_and_a_new_token_keeps_it(desk: RawConsents) -> None:
    url = desk.provider.url
    call = {"endpoint": f"{url}/whoami", "learned": {"region": "host.region"}, "answered": "known"}
    profile = profile_at(desk, grant="client_credentials", after_connecting=[call])
    profile["endpoints"].pop("authorization")
    assert (await make(desk, profile)).status_code == 201
    desk.provider.answers = [tokens_answer(refresh_token=None), json_answer('{"host": {"region": "eu"}}')]
    named = {"auth_client": relationship("auth-client", desk.client_id)}
    data = {"type": "auth-secret", "attributes": {"name": "S", "credentials": {}}, "relationships": named}
    made = await desk.who.post(f"/v2/workspaces/{desk.tenant.workspace_id}/secrets", {"data": data})
    assert made.status_code == 201, made.text
    secret_id = made.json()["data"]["id"]
    known = {"region": "eu", "known": "true"}
    assert (await desk.seen(secret_id))["credentials"]["undefined_params"] == known
    renewed = await desk.refresh(secret_id, tokens_answer(access_token="at-2", refresh_token=None))
    assert renewed["credentials"]["access_token"] == "at-2"
    assert renewed["credentials"]["undefined_params"] == known
    assert lines(desk) == ["POST /token", "GET /whoami", "POST /token"]


async def test_a_consent_that_was_interrupted_learns_it_when_it_goes_on(
    desk: RawConsents, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await make(desk, asking(desk))).status_code == 201
    fail_once(monkeypatch, ConsentCompletion, "complete", DatabaseUnavailable)
    waiting = await desk.consent(tokens_answer(), json_answer(json.dumps(SITES)), json_answer('{"name": "Alice"}'))
    assert waiting["attributes"]["status"] == "pending"
    assert lines(desk) == ["POST /token"]
    assert await desk.world.services.refreshing.recovery.tick() == 1
    listed = await desk.who.get(f"/v2/workspaces/{desk.tenant.workspace_id}/secrets")
    (found,) = listed.json()["data"]
    known = (await desk.seen(found["id"]))["credentials"]["undefined_params"]
    assert known == {"site_id": "s1", "owner": "Alice"}
    assert lines(desk) == ["POST /token", "GET /sites", "GET /s1/me"], "the code is sent once"


async def test_what_is_for_connecting_only_is_kept_nowhere(desk: RawConsents) -> None:
    profile = profile_at(
        desk,
        inputs={"user": {"once": True}, "pin": {"once": True, "secret": True}, "site": {}},
        authorization={"parameters": {"login": "{user}", "pin": "{pin}"}},
        pkce="off",
    )
    assert (await make(desk, profile)).status_code == 201
    fields = {"user": "alice", "pin": "12345678", "site": "b"}
    secret_id = await desk.connect(tokens_answer(), fields=fields)
    assert (await desk.seen(secret_id))["credentials"]["fields"] == {"site": "b"}
    async with desk.world.store.unit(desk.tenant.id) as unit:
        stored = await AuthSecrets(unit).find(secret_id)
    assert stored is not None
    assert "12345678" not in str(stored.credentials)
    assert "alice" not in str(stored.credentials)
    data = {"type": "auth-secret", "id": secret_id, "attributes": {"credentials": {"fields": {"site": "c"}}}}
    changed = await desk.who.patch(desk.path(secret_id), {"data": data})
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize(
    ("endpoint", "detail"),
    [("https://{site}/x", "only an input that is per_client"), ("{site}/x", "only an input that is per_client")],
)
async def test_whoever_connects_cannot_choose_who_is_told_the_token(
    desk: RawConsents, endpoint: str, detail: str
) -> None:
    call = {"endpoint": endpoint}
    refused = await make(desk, profile_at(desk, inputs={"site": {"pattern": ".*"}}, after_connecting=[call]))
    assert refused.status_code == 400, refused.text
    assert refused.json()["errors"][0]["source"]["pointer"].endswith("/after_connecting/0/endpoint")
    assert detail in refused.json()["errors"][0]["detail"]


def test_a_component_s_block_has_nobody_asked() -> None:
    """The developer of a shared component would be told the tokens of other tenants' users."""
    profile = {"after_connecting": [{"endpoint": "https://evil.example/stolen", "learned": {"x": "x"}}]}
    assert profile_of_block(profile).after_connecting == ()
