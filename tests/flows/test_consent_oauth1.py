"""A consent of OAuth 1.0a, from start to credential (contract 21, with 19.4, 20.1 to 20.4, 0.7 and 0.17)."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from keyrack.simulator.oauth1_book import Validator
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.consents import ConsentRows
from support.app import World, error_of, settings_for, world
from support.consent import come_back, keys_of, query_of, seen, start, stored
from support.grants import (
    CLIENT_ID,
    OAUTH1_CALLBACK,
    SECRET,
    approve_oauth1,
    oauth1_component,
    oauth1_component_for,
    oauth1_keys_work,
)
from support.raw_provider import LoopbackServers, http_answer
from support.running import replica


def calls(simulator: RunningSimulator, endpoint: str = "oauth1_token") -> int:
    return simulator.state.calls(endpoint=endpoint)


async def started(keyrack: World, component_id: str, status: int = 201, **more: Any) -> dict[str, Any]:
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id, **more)
    assert answer.status_code == status, answer.text
    data: dict[str, Any] = answer.json()["data" if status < 400 else "errors"]
    return data


async def test_it_ends_in_a_credential_that_the_provider_takes(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator, token_sim="extra_members:screen_name=wren;user_id=7")
    globex = keyrack.tenants["Globex"]
    data = await started(keyrack, component_id, name="My nest")
    address = data["attributes"]["authorization_url"]
    assert address.startswith(f"{simulator.base_url}/oauth1/authorize?oauth_token=")
    callback = await approve_oauth1(address)
    assert callback.startswith(f"{OAUTH1_CALLBACK}?oauth_token=")
    page = await come_back(keyrack, callback)
    assert page.status_code == 200, page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    ended = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/oauth-consents/{data['id']}")
    keys = await keys_of(keyrack, "Globex", ended.json()["data"])
    nest = keys["nest"]
    assert set(nest) == {"oauth_token", "oauth_token_secret", "oauth_authorized_realms", "screen_name", "user_id"}
    assert (nest["screen_name"], nest["user_id"]) == ("wren", "7"), "the provider's parameters, flat"
    assert await oauth1_keys_work(simulator, nest)
    assert not await oauth1_keys_work(simulator, nest | {"oauth_token_secret": "another"}), "the check can fail"
    assert (await stored(keyrack, "Globex"))[0]["attributes"]["name"] == "My nest"


@pytest.mark.parametrize("method", ["PLAINTEXT", "HMAC-SHA256"])
async def test_a_provider_may_want_another_signature(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(Validator, "allowed_signature_methods", (method,))
    component_id = await oauth1_component_for(keyrack, simulator, signature_method=method)
    data = await started(keyrack, component_id)
    page = await come_back(keyrack, await approve_oauth1(data["attributes"]["authorization_url"]))
    assert page.status_code == 200, page.text
    refused = await oauth1_component_for(keyrack, simulator, "usual")
    assert await started(keyrack, refused, status=400), "the provider takes no other signature"


async def test_own_queries_are_signed_and_kept_and_extras_cannot_be_protocol_parameters(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 19.2, 20.2, RFC 5849 3.4.1.3
    component_id = await oauth1_component_for(
        keyrack,
        simulator,
        request_token_uri=f"{simulator.base_url}/oauth1/request_token?b=2&a=%7e+x%2By&a=",
        auth_uri=f"{simulator.base_url}/oauth1/authorize?lang=en%20GB",
    )
    extra = {"force_login": True, "lang": "de", "oauth_token": "mine", "OAuth_Callback": "https://evil.example/"}
    data = await started(keyrack, component_id, additional_params=extra)
    address = data["attributes"]["authorization_url"]
    assert urlsplit(address).query.startswith("lang=en%20GB&oauth_token=")
    assert {name: value for name, value in query_of(address).items() if name != "oauth_token"} == {
        "lang": "en GB",
        "force_login": "true",
    }
    assert query_of(address)["oauth_token"] != "mine"
    assert (await come_back(keyrack, await approve_oauth1(address))).status_code == 200


async def test_a_callback_counts_once_also_at_two_replicas(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    keyrack = keyrack_on_each
    component_id = await oauth1_component_for(keyrack, simulator, token_sim="latency:50")
    callback = await approve_oauth1((await started(keyrack, component_id))["attributes"]["authorization_url"])
    async with replica(keyrack) as other:
        pages = await asyncio.gather(*(http.get(callback) for http in (keyrack.http, other) * 4))
    assert [page.status_code for page in pages] == [200] * 8, "those who come second are told the same (0.21)"
    assert calls(simulator) == 1
    assert len(await stored(keyrack, "Globex")) == 1


@pytest.mark.parametrize(
    "query", ["", "oauth_token=unknown&oauth_verifier=v", "denied=unknown", "state=x&code=y", "oauth_token=%01%ff"]
)
async def test_a_callback_of_nobody_is_a_page_and_nothing_else(keyrack_to_read: World, query: str) -> None:
    page = await come_back(keyrack_to_read, f"/callback/oauth1?{query}")
    assert page.status_code == 400
    assert "This link is not valid" in page.text


async def test_neither_callback_takes_what_belongs_to_the_other(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)
    callback = await approve_oauth1((await started(keyrack, component_id))["attributes"]["authorization_url"])
    token = query_of(callback)["oauth_token"]
    assert (await come_back(keyrack, f"/callback/oauth2?state={token}&code=c")).status_code == 400
    assert (await come_back(keyrack, callback)).status_code == 200, "it is still there"


async def test_a_denial_fails_the_consent_with_the_providers_words(keyrack: World, simulator: RunningSimulator) -> None:
    for deny, says in {"access_denied": "did not grant access", "server_error": "server_error"}.items():
        component_id = await oauth1_component_for(
            keyrack, simulator, deny, auth_uri=f"{simulator.base_url}/oauth1/authorize?sim=deny:{deny}"
        )
        data = await started(keyrack, component_id)
        callback = await approve_oauth1(data["attributes"]["authorization_url"])
        page = await come_back(keyrack, callback)
        assert page.status_code == 400
        assert says in page.text
        ended = await seen(keyrack, "Globex", data["id"])
        assert ended["status"] == "failed"
        assert says in ended["error"]
        assert (await come_back(keyrack, callback)).status_code == 400
    assert calls(simulator) == 0
    assert await stored(keyrack, "Globex") == []


async def test_without_a_verifier_nothing_is_exchanged(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id)
    callback = await approve_oauth1(data["attributes"]["authorization_url"])
    page = await come_back(keyrack, callback.partition("&oauth_verifier")[0])
    assert "no usable verifier" in page.text
    assert calls(simulator) == 0
    assert (await seen(keyrack, "Globex", data["id"]))["status"] == "failed"


START_FAULTS = {
    "status:500": ("provider_unavailable", "cannot answer now"),
    "status:429,retry_after:7": ("provider_unavailable", "cannot answer now"),
    "status:403": ("provider_error", "refused to give temporary credentials"),
    "hang_up:before": ("provider_unavailable", "closed the connection"),
    "hang_up:after": ("provider_unavailable", "closed the connection"),
    "padding:2000000": ("provider_unavailable", "too large"),
    "redirect_to:http://127.0.0.1:9/": ("provider_error", "refused to give temporary credentials"),
    "fail:invalid_client": ("provider_error", "refused to give temporary credentials"),
}


@pytest.mark.parametrize("sim", START_FAULTS)
async def test_a_fault_at_the_start_is_a_400_and_the_consent_has_failed(
    keyrack: World, simulator: RunningSimulator, sim: str
) -> None:
    code, text = START_FAULTS[sim]
    component_id = await oauth1_component_for(keyrack, simulator, request_sim=sim)
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(answer)[:2] == (400, code)
    assert text in answer.json()["errors"][0]["detail"]
    assert SECRET not in answer.text
    events = await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events?filter[action]=consent.start")
    (allowed, failed) = sorted(events.json()["data"], key=lambda event: event["attributes"]["outcome"])
    assert (allowed["attributes"]["outcome"], failed["attributes"]["outcome"]) == ("allowed", "failed")
    consent_id = failed["attributes"]["target"]["id"]
    ended = await seen(keyrack, "Globex", consent_id)
    assert ended["status"] == "failed"
    assert text in ended["error"]


TOKEN_FAULTS = {
    "status:500": "cannot answer now",
    "status:403": "refused to give token credentials",
    "hang_up:before": "closed the connection",
    "hang_up:after": "closed the connection",
    "hang_up:midway": "closed the connection",
    "padding:2000000": "too large",
    "fail:invalid_grant": "invalid_grant",
}


@pytest.mark.parametrize("sim", TOKEN_FAULTS)
async def test_a_fault_of_the_exchange_is_told_and_nothing_is_stored(
    keyrack: World, simulator: RunningSimulator, sim: str
) -> None:
    component_id = await oauth1_component_for(keyrack, simulator, token_sim=sim)
    data = await started(keyrack, component_id)
    page = await come_back(keyrack, await approve_oauth1(data["attributes"]["authorization_url"]))
    assert page.status_code == 400
    assert TOKEN_FAULTS[sim] in page.text
    ended = await seen(keyrack, "Globex", data["id"])
    assert ended["status"] == "failed"
    assert TOKEN_FAULTS[sim] in ended["error"]
    assert SECRET not in page.text + ended["error"]
    assert await stored(keyrack, "Globex") == []


async def test_a_wrong_secret_is_a_wrong_signature(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator, secret="not-the-secret")
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(answer)[:2] == (400, "provider_error")
    assert simulator.state.calls(endpoint="oauth1_request", outcome="unauthorized") == 1


async def test_temporary_credentials_that_expired_are_refused_by_the_provider(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id)
    callback = await approve_oauth1(data["attributes"]["authorization_url"])
    found = simulator.state.oauth1.temporary(query_of(callback)["oauth_token"])
    assert found is not None
    found.expires_at = 0
    page = await come_back(keyrack, callback)
    assert "refused to give token credentials" in page.text
    assert (await seen(keyrack, "Globex", data["id"]))["status"] == "failed"


async def test_a_change_before_the_callback_fails_the_consent(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)  # 0.17
    globex = keyrack.tenants["Globex"]
    data = await started(keyrack, component_id)
    callback = await approve_oauth1(data["attributes"]["authorization_url"])
    (client,) = (await globex.admin.get(f"/v2/tenants/{globex.id}/oauth-clients")).json()["data"]
    client["attributes"]["client_id"] = "another"
    path = f"/v2/tenants/{globex.id}/oauth-clients/{client['id']}"
    assert (await globex.admin.patch(path, {"data": client})).status_code == 200
    page = await come_back(keyrack, callback)
    assert "the OAuth client was changed" in page.text
    assert calls(simulator) == 0
    assert await stored(keyrack, "Globex") == []


async def test_only_a_hash_of_the_token_can_be_found_and_the_secret_is_sealed(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id)
    token = query_of(data["attributes"]["authorization_url"])["oauth_token"]
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id) as unit:
        found = await ConsentRows(unit).find(data["id"])
        assert found is not None
        assert found.context.temporary is not None
        known, secret = (each.reveal() for each in found.context.temporary)
        rows = (await unit.connection.execute(text("SELECT * FROM consents"))).all()
    assert known == token
    assert token not in str(rows)
    assert secret not in str(rows)
    assert secret not in str(data)


async def test_connecting_again_replaces_what_was_there(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id)
    await come_back(keyrack, await approve_oauth1(data["attributes"]["authorization_url"]))
    (before,) = await stored(keyrack, "Globex")
    again = await started(keyrack, component_id, credential_id=before["id"])
    await come_back(keyrack, await approve_oauth1(again["attributes"]["authorization_url"]))
    (after,) = await stored(keyrack, "Globex")
    assert after["id"] == before["id"]
    old, new = before["attributes"]["keys"]["nest"], after["attributes"]["keys"]["nest"]
    assert new["oauth_token"] != old["oauth_token"]
    assert await oauth1_keys_work(simulator, new)


async def test_the_owners_consumer_never_signs_for_another_tenant(keyrack: World, simulator: RunningSimulator) -> None:
    descriptor = oauth1_component(simulator.base_url) | {"useOAuthClient": False}  # 20.2, 8.6
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component_id = await keyrack.add_component(acme, "legacy", descriptor, access="global")
    variables = {"BIRD_KEY": CLIENT_ID, "BIRD_SECRET": SECRET}
    body = {"data": {"type": "component-env", "attributes": {"vars": variables}}}
    put = await acme.admin.put(f"/v2/components/{component_id}/env", body)
    assert put.status_code == 200, put.text
    refused = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(refused)[:2] == (409, "oauth_client_missing")
    assert calls(simulator, "oauth1_request") == 0
    mine = await start(acme.integrator, acme.workspace_id, component_id)
    assert mine.status_code == 201, mine.text
    page = await come_back(keyrack, await approve_oauth1(mine.json()["data"]["attributes"]["authorization_url"]))
    assert page.status_code == 200
    assert len(await stored(keyrack, "Acme")) == 1


async def test_a_return_url_is_followed(keyrack: World, simulator: RunningSimulator) -> None:  # 20.4
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id, return_url="http://keyrack.test/back?x=1")
    page = await come_back(keyrack, await approve_oauth1(data["attributes"]["authorization_url"]))
    (credential,) = await stored(keyrack, "Globex")
    assert page.status_code == 303
    assert page.headers["location"] == f"http://keyrack.test/back?x=1&credential_id={credential['id']}"


async def test_a_token_given_twice_is_refused(keyrack: World, simulator: RunningSimulator) -> None:
    """Nothing else says whose callback it is."""
    component_id = await oauth1_component_for(keyrack, simulator)
    data = await started(keyrack, component_id)
    token = query_of(data["attributes"]["authorization_url"])["oauth_token"]
    servers = LoopbackServers()
    reply = f"oauth_token={token}&oauth_token_secret=s&oauth_callback_confirmed=true".encode()
    address = f"http://127.0.0.1:{await servers.answer(http_answer(reply))}/"
    again = await oauth1_component_for(keyrack, simulator, "again", request_token_uri=address)
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, again)
    await servers.stop()
    assert error_of(answer)[:2] == (400, "provider_error")
    assert token not in answer.text
    page = await come_back(keyrack, await approve_oauth1(data["attributes"]["authorization_url"]))
    assert page.status_code == 200, "the first one goes on"


@pytest.mark.parametrize("member", ["request_token_uri", "auth_uri", "access_token_uri"])
async def test_a_private_address_is_refused_at_the_start(tmp_path: Path, member: str) -> None:  # 0.11, 19.4
    async with world(settings_for(tmp_path, public_url="https://keyrack.test")) as keyrack:
        descriptor = oauth1_component("https://birdsong.example", **{member: "https://127.0.0.1/x"})
        acme = keyrack.tenants["Acme"]
        component_id = await keyrack.add_component(acme, "guarded", descriptor | {"useOAuthClient": False}, "global")
        variables = {"data": {"type": "component-env", "attributes": {"vars": {"BIRD_KEY": "k", "BIRD_SECRET": "s"}}}}
        assert (await acme.admin.put(f"/v2/components/{component_id}/env", variables)).status_code == 200
        answer = await start(acme.integrator, acme.workspace_id, component_id)
        assert error_of(answer)[:2] == (400, "validation_error")
