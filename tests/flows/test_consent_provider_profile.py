"""Auth clients with a provider profile: what is sent, and how answers are read, follows the profile (decision 38)."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from support.app import World, relationship
from support.provider_profiles import make, profile_at, started
from support.raw_provider import RawConsents, RawProvider, json_answer, tokens_answer


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return the only error of a refusal."""
    (error,) = answer.json()["errors"]
    found: dict[str, Any] = error
    return found


async def test_the_authorization_request_is_as_the_provider_wants_it(desk: RawConsents) -> None:
    said = {
        "parameters": {"access_type": "offline", "audience": "{audience}", "session": False},
        "rename": {"client_id": "app_id"},
    }
    inputs = {"audience": {"per_client": True, "required": False}}
    scopes = {"separator": ",", "user_parameter": "user_scope", "user_default": ["chat:write"], "default": ["a"]}
    profile = profile_at(desk, authorization=said, inputs=inputs, scopes=scopes, pkce="off")
    assert (await make(desk, profile, inputs={"audience": "https://api"})).status_code == 201
    sent = await started(desk, scopes="x y")
    assert sent.pop("state")
    assert sent.pop("redirect_uri").endswith("/callback/oauth2")
    assert sent == {
        "response_type": "code", "app_id": "the-client", "scope": "x,y", "user_scope": "chat:write",
        "access_type": "offline", "audience": "https://api", "session": "false",
    }  # fmt: skip
    assert (await started(desk))["scope"] == "a"
    extra = await started(
        desk, additional_params={"prompt": "login", "access_type": "online", "app_id": "evil", "state": "x"}
    )
    assert (extra["prompt"], extra["access_type"], extra["app_id"]) == ("login", "offline", "the-client")


async def test_tokens_come_and_are_renewed_as_the_provider_wants_it(desk: RawConsents) -> None:
    profile = profile_at(
        desk,
        token={"body": "json", "parameters": {"expires": 1}, "headers": {"x-app": "{client_id}"}},
        refresh={"method": "GET", "parameters": {"grant_type": "renew"}, "rename": {"refresh_token": "token"}},
        client_authentication={"method": "client_secret_basic"},
        answer={
            "objects": ["data.user"], "access_token": ["tok"], "refresh_token": ["ref"], "expires_in": ["ttl"],
            "lifetime_unit": "milliseconds", "fails_where": {"ok": False}, "error": ["code"], "final_errors": ["dead"],
        },
    )  # fmt: skip
    assert (await make(desk, profile)).status_code == 201
    user = {"tok": "at-1", "ref": "rt-1", "ttl": 7_200_000}
    answer = json_answer(json.dumps({"ok": True, "data": {"user": user}, "team": "T"}))
    secret_id = await desk.connect(answer)
    head, _, body = desk.provider.requests[-1].partition(b"\r\n\r\n")
    sent = json.loads(body)
    assert (sent["grant_type"], sent["expires"], sent["code"]) == ("authorization_code", 1, "the-code")
    assert "client_secret" not in sent  # never twice
    assert b"authorization: Basic " in head.replace(b"Authorization", b"authorization")
    assert b"x-app: the-client" in head
    assert b"Content-Type: application/json" in head
    found = await desk.seen(secret_id)
    assert found["credentials"]["access_token"] == "at-1"
    assert found["credentials"]["expires_in"] == 7200
    assert found["credentials"]["undefined_params"]["team"] == "T"

    found = await desk.refresh(secret_id, json_answer(json.dumps({"tok": "at-2", "ref": "rt-2", "ttl": 60_000})))
    line = desk.provider.requests[-1].split(b"\r\n")[0].decode()
    method, target, _ = line.split(" ")
    assert method == "GET"
    assert parse_qs(urlsplit(target).query) == {"grant_type": ["renew"], "token": ["rt-1"]}
    assert (found["credentials"]["access_token"], found["credentials"]["refresh_token"]) == ("at-2", "rt-2")

    found = await desk.refresh(secret_id, json_answer(json.dumps({"ok": False, "code": "dead"})))
    assert (found["state"], found["error_code"]) == ("error", "reauthorization_required")


async def test_addresses_follow_what_is_filled_in(desk: RawConsents) -> None:
    host = desk.provider.url.removeprefix("http://")
    profile = {
        "name": "shop",
        "inputs": {
            "host": {"pattern": "[0-9.:]+", "title": "Host", "per_client": True},
            "shop": {"pattern": "[a-z]+", "title": "Shop"},
        },
        "endpoints": {"authorization": "http://{host}/{shop}/authorize", "token": "http://{host}/{shop}/token"},
    }
    refused = await make(desk, profile, inputs={"host": "evil.example"})
    assert error_of(refused)["source"] == {"pointer": "/data/attributes/credentials/inputs/host"}
    assert (await make(desk, profile, inputs={"host": host})).status_code == 201
    path = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
    named = {"auth_client": relationship("auth-client", desk.client_id)}
    for fields, detail in (({}, "shop is required"), ({"shop": "x/../y"}, "does not have the form of Shop")):
        body = {"data": {"type": "oauth-consent", "attributes": {"fields": fields}, "relationships": named}}
        refused = await desk.who.post(path, body)
        assert (refused.status_code, error_of(refused)["source"]) == (400, {"pointer": "/data/attributes/fields/shop"})
        assert error_of(refused)["detail"] == detail
    secret_id = await desk.connect(tokens_answer(expires_in=60), fields={"shop": "pets", "host": "127.0.0.1:9"})
    found = await desk.refresh(secret_id, tokens_answer(access_token="at-2"))
    assert found["credentials"]["access_token"] == "at-2"
    assert [line.split(b" ")[1] for line in desk.provider.requests] == [b"/pets/token", b"/pets/token"]
    changed = {
        "type": "auth-client",
        "id": desk.client_id,
        "attributes": {"credentials": {"inputs": {"host": "127.0.0.1:9"}}},
    }
    changed["relationships"] = {"tenant": relationship("tenant", desk.tenant.id)}
    answer = await desk.tenant.admin.patch(f"/v2/auth-clients/{desk.client_id}", {"data": changed})
    assert "inputs cannot be changed" in error_of(answer)["detail"]


async def test_a_member_s_secret_does_not_choose_who_is_told_the_client_s(desk: RawConsents) -> None:
    """Whoever may store a secret may put anything into its fields."""
    endpoints = {"authorization": "http://{shop}.shop.example/a", "token": "http://{shop}.shop.example/t"}
    inputs = {"shop": {"pattern": "[a-z]+"}, "region": {"pattern": "[a-z]+", "per_client": True, "required": False}}
    assert (await make(desk, {"name": "shop", "inputs": inputs, "endpoints": endpoints})).status_code == 201
    evil, stored = desk.provider.url.removeprefix("http://"), 0
    for shop in (f"{evil}/?", f"{evil}#", f"x@{evil}", "a.evil", f"{evil}\\", "", None, ["x"]):
        credentials = {"access_token": "a", "refresh_token": "r", "expires_in": 1, "fields": {"shop": shop}}
        credentials["undefined_params"] = {"shop": shop, "region": evil}
        data = {
            "type": "auth-secret",
            "attributes": {"name": "evil", "credentials": credentials},
            "relationships": {"auth_client": relationship("auth-client", desk.client_id)},
        }
        made = await desk.who.post(f"/v2/workspaces/{desk.tenant.workspace_id}/secrets", {"data": data})
        if made.status_code == 201:
            stored += 1
            tried = await desk.who.post(f"{desk.path(made.json()['data']['id'])}/refresh")
            assert tried.status_code >= 400, shop
    assert stored
    assert desk.provider.requests == []


async def test_tokens_are_revoked_where_the_connection_s_placeholders_lead(desk: RawConsents) -> None:
    endpoints = {
        "authorization": f"{desk.provider.url}/authorize",
        "token": f"{desk.provider.url}/{{shop}}/token",
        "revocation": f"{desk.provider.url}/{{shop}}/revoke",
    }
    profile = {"name": "shop", "inputs": {"shop": {"pattern": "[a-z]+"}}, "endpoints": endpoints}
    assert (await make(desk, profile)).status_code == 201
    secret_id = await desk.connect(tokens_answer(), fields={"shop": "pets"})
    desk.provider.answers = [json_answer("{}")]
    deleted = await desk.who.delete(desk.path(secret_id))
    assert deleted.status_code == 204, deleted.text
    await desk.world.services.revoker.tick()
    assert desk.provider.requests[-1].split(b" ")[1] == b"/pets/revoke"


async def test_a_profile_that_comes_along_is_named_and_kept_as_it_was(desk: RawConsents) -> None:
    made = (await make(desk, "slack")).json()["data"]["attributes"]["credentials"]
    assert (made["auth_uri"], made["token_uri"]) == (
        "https://slack.com/oauth/v2/authorize",
        "https://slack.com/api/oauth.v2.access",
    )
    assert made["provider_profile"]["title"] == "Slack"
    assert made["revocation_uri"] == "https://slack.com/api/auth.revoke"
    refused = await make(desk, "slak")
    assert refused.status_code == 400
    assert error_of(refused)["detail"] == "there is no provider profile of this name; is it slack?"


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"grant": "device_code"}, "/endpoints/device_authorization", "is needed"),
        ({"authorization": {"pushed": True}}, "/endpoints/pushed_authorization", "is needed to push requests"),
        ({"authorisation": {}}, "", "unknown field"),
        ({"authorization": {"parameters": {"x": "{nowhere}"}}}, "/authorization/parameters/x", "no inputs: nowhere"),
        ({"authorization": {"parameters": {"state": "mine"}}}, "/authorization/parameters/state", "cannot be replaced"),
        ({"authorization": {"rename": {"x": "state"}}}, "/authorization/rename/x", "cannot be called state"),
        ({"authorization": {"parameters": {"nonce": "1"}}}, "/authorization/parameters/nonce", "is made anew"),
        ({"token": {"method": "DELETE"}}, "/token/method", "must be GET or POST"),
        ({"token": {"headers": {"Content-Length": "5"}}}, "/token/headers/Content-Length", "is no header"),
        ({"refresh": {"headers": {"Host": "x"}}}, "/refresh/headers/Host", "is no header"),
        ({"token": {"headers": {"x y": "5"}}}, "/token/headers/x y", "is no header"),
        ({"inputs": {"x": {"format": "subdomain"}}}, "/inputs/x/format", "must be one of"),
        ({"inputs": {"x": {"pattern": "(a{900}){900}"}}}, "/inputs/x/pattern", "repeats too much"),
        ({"inputs": {f"x{n}": {} for n in range(31)}}, "/inputs", "may have 30 members"),
    ],
)  # fmt: skip
async def test_a_profile_that_cannot_work_is_refused(
    desk: RawConsents, members: Any, pointer: str, detail: str
) -> None:
    refused = await make(desk, profile_at(desk, **members))
    assert refused.status_code == 400
    error = error_of(refused)
    assert error["source"] == {"pointer": f"/data/attributes/credentials/provider_profile{pointer}"}
    assert detail in error["detail"]


async def test_a_pattern_that_takes_for_ever_is_given_up(desk: RawConsents) -> None:
    inputs = {"x": {"pattern": "(a|a)*b", "per_client": True}}
    refused = await make(desk, profile_at(desk, inputs=inputs), inputs={"x": "a" * 200})
    assert refused.status_code == 400
    assert error_of(refused)["detail"] == "does not have the form of x"
