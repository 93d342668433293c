import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from keyrack.clock import now
from keyrack.simulator.behaviour import check_overrides, parse_sim

Driver = Any


async def test_without_rotation_the_refresh_token_stays(driver: Driver) -> None:
    tokens = await driver.connect()
    for _ in range(2):
        status, answer = await driver.refresh(tokens["refresh_token"])
        assert status == 200
        assert "refresh_token" not in answer
        assert await driver.works(answer["access_token"])
    driver.behave(repeat_refresh_token=True)
    assert (await driver.refresh(tokens["refresh_token"]))[1]["refresh_token"] == tokens["refresh_token"]


async def test_rotation_overlap_keeps_old_tokens(driver: Driver) -> None:
    driver.behave(rotation="overlap")
    first = (await driver.connect())["refresh_token"]
    second = (await driver.refresh(first))[1]["refresh_token"]
    assert first != second
    assert (await driver.refresh(first))[0] == (await driver.refresh(second))[0] == 200


async def test_rotation_one_time_kills_the_old_token_only(driver: Driver) -> None:
    driver.behave(rotation="one_time")
    first = (await driver.connect())["refresh_token"]
    second = (await driver.refresh(first))[1]["refresh_token"]
    status, answer = await driver.refresh(first)
    assert (status, answer["error"]) == (400, "invalid_grant")
    assert (await driver.refresh(second))[0] == 200


async def test_rotation_strict_kills_the_family_on_reuse(driver: Driver) -> None:
    driver.behave(rotation="strict")
    bystander = await driver.connect()
    first = (await driver.connect())["refresh_token"]
    renewed = (await driver.refresh(first))[1]
    assert (await driver.refresh(first))[1]["error"] == "invalid_grant"
    assert (await driver.refresh(renewed["refresh_token"]))[1]["error"] == "invalid_grant"
    assert not await driver.works(renewed["access_token"])
    assert await driver.works(bystander["access_token"])


async def test_rotation_grace_lets_an_old_token_pass(driver: Driver) -> None:
    driver.behave(rotation="strict", rotation_grace=60_000)
    first = (await driver.connect())["refresh_token"]
    assert (await driver.refresh(first))[0] == (await driver.refresh(first))[0] == 200
    driver.behave(rotation="strict", rotation_grace=0)
    assert (await driver.refresh(first))[0] == 400


async def test_parallel_refreshes_are_seen(driver: Driver) -> None:
    driver.behave(latency=1000)
    tokens = await driver.connect()
    await asyncio.gather(*(driver.refresh(tokens["refresh_token"]) for _ in range(3)))
    (grant,) = driver.sim.state.book.grants.values()
    assert (grant.parallel_peak, grant.in_flight, grant.refreshes) == (3, 0, 3)


async def test_lifetimes(driver: Driver) -> None:
    driver.behave(access_token_lifetime=0)
    tokens = await driver.connect()
    assert tokens["expires_in"] == 0
    assert not await driver.works(tokens["access_token"])
    driver.behave(refresh_token_lifetime=60)
    tokens = await driver.connect()
    assert (await driver.refresh(tokens["refresh_token"]))[0] == 200
    driver.sim.state.book._clock = lambda: now() + timedelta(seconds=61)
    assert (await driver.refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"


async def test_no_refresh_token(driver: Driver) -> None:
    driver.behave(no_refresh_token=True)
    assert "refresh_token" not in await driver.connect()


@pytest.mark.parametrize(
    ("rule", "parameter"),
    [("access_type=offline", ("access_type", "offline")), ("scope=offline_access", ("scope", "a offline_access"))],
)
async def test_refresh_token_only_with_a_parameter(driver: Driver, rule: str, parameter: tuple[str, str]) -> None:
    driver.behave(refresh_only_with=rule)
    name, value = parameter
    assert "refresh_token" not in await driver.connect()
    assert "refresh_token" not in await driver.connect(**{name: "other"})
    assert "refresh_token" in await driver.connect(**{name: value})


async def test_expires_in(driver: Driver) -> None:
    driver.behave(expires_in="string", access_token_lifetime=99)
    assert (await driver.connect())["expires_in"] == "99"
    driver.behave(expires_in="omit")
    assert "expires_in" not in await driver.connect()


async def test_reply_members(driver: Driver) -> None:
    driver.behave(omit_scope=True, token_type="bearer", extra_members={"instance_url": "https://x.example", "n": [1]})
    tokens = await driver.connect(scope="a")
    assert "scope" not in tokens
    assert tokens["token_type"] == "bearer"
    assert (tokens["instance_url"], tokens["n"]) == ("https://x.example", [1])


async def test_nested_token(driver: Driver) -> None:
    driver.behave(nest_under="authed_user", extra_members={"team": "t"})
    answer = await driver.connect()
    assert set(answer) == {"ok", "authed_user", "team"}
    assert await driver.works(answer["authed_user"]["access_token"])


async def test_form_encoded_reply(driver: Driver) -> None:
    driver.behave(reply_format="form")
    async with driver.token_call(grant_type="client_credentials", scope="a b") as answer:
        assert answer.content_type == "application/x-www-form-urlencoded"
        members = parse_qs(await answer.text())
    assert members["scope"] == ["a b"]
    assert members["expires_in"] == ["3600"]
    assert await driver.works(members["access_token"][0])


async def test_html_reply(driver: Driver) -> None:
    driver.behave(reply_format="html")
    async with driver.token_call(grant_type="client_credentials") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_errors_with_status_200(driver: Driver) -> None:
    driver.behave(errors_as_200=True)
    status, answer = await driver.refresh("unknown")
    assert (status, answer["error"]) == (200, "invalid_grant")


async def test_errors_without_a_body(driver: Driver) -> None:
    driver.behave(bare_errors=True)
    assert await driver.refresh("unknown") == (400, "")
    driver.client_secret = "wrong"
    async with driver.token_call(grant_type="client_credentials") as answer:
        assert (answer.status, await answer.read()) == (403, b"")


@pytest.mark.parametrize(("code", "status"), [("invalid_client", 401), ("invalid_grant", 400), ("server_error", 500)])
async def test_told_to_fail_uses_nothing_up(driver: Driver, code: str, status: int) -> None:
    driver.behave(rotation="strict")
    tokens = await driver.connect()
    got, answer = await driver.refresh(tokens["refresh_token"], sim=f"fail:{code}")
    assert (got, answer["error"]) == (status, code)
    assert (await driver.refresh(tokens["refresh_token"]))[0] == 200


async def test_callback_parameters(driver: Driver) -> None:
    assert (await driver.authorize())["state"] == "s1"
    assert (await driver.authorize(state="a&b=\r\nc"))["state"] == "a&b=\r\nc"
    assert "state" not in await driver.authorize(sim="state:omit")
    assert (await driver.authorize(sim="state:wrong"))["state"] != "s1"
    assert "iss" not in await driver.authorize(sim="iss:omit")
    assert (await driver.authorize(sim="iss:wrong"))["iss"] != driver.sim.base_url


async def test_denial(driver: Driver) -> None:
    answer = await driver.authorize(sim="deny:access_denied")
    assert answer["error"] == "access_denied"
    assert answer["state"] == "s1"
    assert "code" not in answer


async def test_authorization_url_chooses_for_the_grant_and_its_refreshes(driver: Driver) -> None:
    tokens = await driver.connect(sim="access_token_lifetime:7,rotation:one_time,latency:1")
    assert tokens["expires_in"] == 7
    renewed = (await driver.refresh(tokens["refresh_token"]))[1]
    assert renewed["expires_in"] == 7
    assert (await driver.refresh(tokens["refresh_token"]))[0] == 400
    assert (await driver.connect())["expires_in"] == 3600


async def test_token_url_wins_over_the_rest(driver: Driver) -> None:
    driver.behave(access_token_lifetime=1)
    code = (await driver.authorize(sim="access_token_lifetime:2"))["code"]
    assert (await driver.exchange(code, sim="access_token_lifetime:3"))[1]["expires_in"] == 3


async def test_bad_sim_is_a_400_that_says_why(driver: Driver) -> None:
    for sim in ("nonsense", "latency:-1", "latency:x", "rotation:maybe", "latency:1,latency:2", "status:200"):
        status, text = await driver.token(sim=sim, grant_type="client_credentials")
        assert status == 400
        assert text.startswith("sim: ")


def test_sim_syntax() -> None:
    parsed = parse_sim("no_refresh_token,latency:200,extra_members:instance_url=https://a.example;id=7,")
    assert parsed == {
        "no_refresh_token": True,
        "latency": 200,
        "extra_members": {"instance_url": "https://a.example", "id": "7"},
    }
    assert parse_sim("redirect_to:https://a.example/x,faults_at:token;me")["faults_at"] == ("token", "me")
    assert parse_sim("no_refresh_token:false") == {"no_refresh_token": False}
    with pytest.raises(ValueError, match="too long"):
        parse_sim("x" * 3_000)


def test_overrides_are_strict_unless_from_text() -> None:
    with pytest.raises(ValueError, match="latency"):
        check_overrides({"latency": "200"})
    assert json.dumps(check_overrides({})) == "{}"
