import hashlib
from typing import Any

import pytest

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.reference import entries

Driver = Any
FORM = {"grant_type": "client_credentials"}
NEW = {"client_id": "new one", "client_secret": "canary-secret", "redirect_uris": ["https://a.example/cb"]}


async def test_clients_come_change_and_go(driver: Driver) -> None:
    status, made = await driver.control("POST", "/clients", NEW)
    assert (status, made["client_secret"]) == (201, "***")
    assert (await driver.control("POST", "/clients", NEW))[0] == 409
    driver.client_id, driver.client_secret = "new one", "canary-secret"
    token = (await driver.token(**FORM))[1]["access_token"]
    assert await driver.works(token)
    status, changed = await driver.control("PATCH", "/clients/new%20one", {"name": "N"})
    assert (status, changed["name"], changed["redirect_uris"]) == (200, "N", NEW["redirect_uris"])
    assert (await driver.token(**FORM))[0] == 200
    assert (await driver.control("PATCH", "/clients/new%20one", {"client_secret": "changed"}))[0] == 200
    assert (await driver.token(**FORM))[0] == 401
    assert "canary-secret" not in str((await driver.control("GET", "/clients"))[1])
    assert (await driver.control("DELETE", "/clients/new%20one"))[0] == 204
    assert (await driver.control("GET", "/clients/new%20one"))[0] == 404
    assert not await driver.works(token)


async def test_behaviour_of_a_client_and_of_all(driver: Driver) -> None:
    path = f"/clients/{driver.client_id}/behaviour"
    assert (await driver.control("PUT", path, {"access_token_lifetime": 5}))[0] == 200
    assert (await driver.token(**FORM))[1]["expires_in"] == 5
    assert (await driver.control("PUT", "/behaviour", {"access_token_lifetime": 6, "omit_scope": True}))[0] == 200
    assert (await driver.token(**FORM))[1]["expires_in"] == 5
    assert (await driver.control("PUT", path, {}))[0] == 200
    assert (await driver.token(**FORM))[1]["expires_in"] == 6
    full = (await driver.control("GET", "/behaviour"))[1]
    assert full["access_token_lifetime"] == 6
    assert set(full) == set(Behaviour.__struct_fields__)


async def test_next_requests_are_overridden_in_order(driver: Driver) -> None:
    for times, behaviour in ((2, {"status": 429, "retry_after": 1}), (1, {"access_token_lifetime": 9})):
        wanted = {"endpoint": "token", "times": times, "behaviour": behaviour}
        assert (await driver.control("POST", "/overrides", wanted))[0] == 201
    other = {"endpoint": "token", "client_id": "someone else", "behaviour": {"status": 500}}
    await driver.control("POST", "/overrides", other)
    assert [(await driver.token(**FORM))[0] for _ in range(2)] == [429, 429]
    assert (await driver.token(**FORM))[1]["expires_in"] == 9
    assert (await driver.token(**FORM))[1]["expires_in"] == 3600
    assert len((await driver.control("GET", "/overrides"))[1]["overrides"]) == 1
    assert (await driver.control("DELETE", "/overrides"))[0] == 204
    assert (await driver.control("GET", "/overrides"))[1] == {"overrides": []}


async def test_counters(driver: Driver) -> None:
    tokens = await driver.connect()
    await driver.refresh(tokens["refresh_token"])
    await driver.refresh("unknown")
    await driver.token(grant_type="made up by someone", client_id="also made up", auth=False)
    calls = (await driver.control("GET", "/counters"))[1]["calls"]
    seen = {(c["endpoint"], c["client_id"], c["grant_type"], c["outcome"]): c["count"] for c in calls}
    assert seen == {
        ("authorize", driver.client_id, "", "ok"): 1,
        ("token", driver.client_id, "authorization_code", "ok"): 1,
        ("token", driver.client_id, "refresh_token", "ok"): 1,
        ("token", driver.client_id, "refresh_token", "invalid_grant"): 1,
        ("token", "", "", "invalid_client"): 1,
    }
    assert driver.sim.state.calls(endpoint="token", grant_type="refresh_token") == 2
    assert (await driver.control("DELETE", "/counters"))[0] == 204
    assert (await driver.control("GET", "/counters"))[1] == {"calls": []}


async def test_tokens_are_listed_by_hash_with_their_state(driver: Driver) -> None:
    driver.behave(rotation="strict")
    tokens = await driver.connect(scope="a")
    await driver.refresh(tokens["refresh_token"])
    listed = (await driver.control("GET", "/tokens"))[1]
    assert listed["total"] == 4
    digest = hashlib.sha256(tokens["refresh_token"].encode()).hexdigest()
    (old,) = (one for one in listed["tokens"] if one["sha256"] == digest)
    assert (old["state"], old["kind"], old["login"], old["scope"]) == ("rotated", "refresh", "alice", "a")
    assert tokens["refresh_token"] not in str(listed)
    only = (await driver.control("GET", f"/tokens?kind=refresh&state=active&family={old['family']}"))[1]
    assert only["total"] == 1
    assert (await driver.control("GET", "/tokens?nonsense=1"))[0] == 400
    (grant,) = (await driver.control("GET", "/grants"))[1]["grants"]
    assert (grant["refreshes"], grant["parallel_peak"], grant["revoked"]) == (1, 1, "")


async def test_expire_and_revoke_now(driver: Driver) -> None:
    one, two = await driver.connect(), await driver.connect()
    assert (await driver.control("POST", "/tokens/expire", {"token": one["access_token"]}))[1] == {"count": 1}
    assert not await driver.works(one["access_token"])
    assert await driver.works(two["access_token"])
    assert (await driver.refresh(one["refresh_token"]))[0] == 200
    assert (await driver.control("POST", "/tokens/revoke", {"kind": "refresh"}))[1] == {"count": 2}
    assert (await driver.refresh(two["refresh_token"]))[0] == 400
    assert await driver.works(two["access_token"])


async def test_minted_grants_can_be_refreshed(driver: Driver) -> None:
    wanted = {"client_id": driver.client_id, "count": 3, "scope": "a"}
    status, answer = await driver.control("POST", "/grants", wanted)
    assert status == 201
    for minted in answer["grants"]:
        assert await driver.works(minted["access_token"])
        assert (await driver.refresh(minted["refresh_token"]))[1]["scope"] == "a"
    assert (await driver.control("POST", "/grants", {**wanted, "login": "nobody"}))[0] == 400
    assert (await driver.control("POST", "/grants", {**wanted, "count": 100_000}))[0] == 400


async def test_reset(driver: Driver) -> None:
    tokens = await driver.connect()
    await driver.control("POST", "/clients", NEW)
    assert (await driver.control("POST", "/reset"))[0] == 204
    assert not await driver.works(tokens["access_token"])
    assert [one["client_id"] for one in (await driver.control("GET", "/clients"))[1]["clients"]] == [driver.client_id]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/clients", []),
        ("POST", "/clients", {}),
        ("POST", "/clients", {**NEW, "unknown": 1}),
        ("POST", "/clients", {**NEW, "client_secret": 5}),
        ("POST", "/clients", {**NEW, "client_id": "\n"}),
        ("POST", "/clients", {**NEW, "redirect_uris": ["javascript:alert(1)"]}),
        ("POST", "/clients", {**NEW, "behaviour": {"latency": -1}}),
        ("POST", "/clients", {"client_id": "without secret"}),
        ("PATCH", "/clients/simulator-client", {"client_id": "other"}),
        ("PATCH", "/clients/simulator-client", {"pkce": "maybe"}),
        ("PUT", "/clients/simulator-client/behaviour", {"unknown": 1}),
        ("PUT", "/behaviour", {"status": 302}),
        ("POST", "/overrides", {"endpoint": "nowhere", "behaviour": {}}),
        ("POST", "/overrides", {"endpoint": "token", "behaviour": {}, "times": 0}),
    ],
)
async def test_bad_control_requests(driver: Driver, method: str, path: str, body: Any) -> None:
    status, answer = await driver.control(method, path, body)
    assert status == 400
    assert answer["error"]


async def test_web_pages_cannot_use_the_control_api(driver: Driver) -> None:
    url = f"{driver.sim.base_url}/_sim"
    async with driver.http.post(f"{url}/reset", data={"a": "b"}) as forged:
        assert forged.status == 415
    async with driver.http.get(f"{url}/clients", headers={"Host": "rebound.example"}) as rebound:
        assert rebound.status == 403


async def test_reference_is_served(driver: Driver) -> None:
    answer = (await driver.control("GET", "/behaviours"))[1]
    assert answer["behaviours"] == entries()
    assert {one["name"] for one in entries()} == set(Behaviour.__struct_fields__)
    assert all(one["description"].endswith((".", "`")) for one in entries())
