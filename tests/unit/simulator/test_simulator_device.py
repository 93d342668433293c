"""The simulator's device grant (RFC 8628) and pushed requests (RFC 9126), both strict."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

CALLBACK = "http://127.0.0.1:1/callback"
Driver = Any


async def sent(driver: Driver, path: str, **form: str) -> tuple[int, Any]:
    """Send a form as the client; return status and JSON."""
    mine = {"client_id": driver.client_id, "client_secret": driver.client_secret}
    async with driver.http.post(driver.sim.base_url + path, data={**mine, **form}) as answer:
        return answer.status, await answer.json()


@pytest.fixture
def clock(pages: Driver) -> "Clock":
    """The time of the simulator, which goes on when it is told to."""
    made = Clock()
    pages.sim.state.clock = made
    pages.sim.state.reset()
    return made


class Clock:
    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at

    def go_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


async def poll(driver: Driver, device_code: str) -> str:
    status, answer = await driver.token(
        grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=device_code
    )
    return "ok" if status == 200 else str(answer["error"])


async def test_a_device_gets_tokens_once_a_person_has_entered_its_code(pages: Driver, clock: Clock) -> None:
    status, codes = await sent(pages, "/device_authorization", scope="read")
    assert status == 200
    assert codes["verification_uri_complete"] == f"{codes['verification_uri']}?user_code={codes['user_code']}"
    assert (codes["interval"], codes["expires_in"]) == (5, 600)
    assert await poll(pages, codes["device_code"]) == "authorization_pending"
    base = pages.sim.base_url
    page = await (await pages.http.get(codes["verification_uri_complete"])).text()
    assert codes["user_code"] in page
    typed = codes["user_code"].lower().replace("-", " ")
    login = await (await pages.http.post(f"{base}/device", data={"user_code": typed})).text()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', login))
    named = {"login": "alice", "password": "wonderland"}
    consent = await (await pages.http.post(f"{base}/login", data={**fields, **named})).text()
    assert codes["user_code"] in consent, "who allows it can compare"
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', consent))
    done = await (await pages.http.post(f"{base}/consent", data={**fields, "decision": "allow"})).text()
    assert "The device is connected" in done
    clock.go_on(5)
    assert await poll(pages, codes["device_code"]) == "ok"
    clock.go_on(5)
    assert await poll(pages, codes["device_code"]) == "invalid_grant", "it works once"
    again = await pages.http.post(f"{base}/device", data={"user_code": codes["user_code"]})
    assert again.status == 400


async def test_who_asks_too_soon_has_to_slow_down_for_good(pages: Driver, clock: Clock) -> None:
    _, codes = await sent(pages, "/device_authorization")
    outcomes = []
    for pause in (0, 4.9, 9.9, 15, 14.9):
        clock.go_on(pause)
        outcomes.append(await poll(pages, codes["device_code"]))
    assert outcomes == ["authorization_pending", "slow_down", "slow_down", "authorization_pending", "slow_down"]


async def test_a_device_that_is_denied_or_too_late_gets_nothing(pages: Driver, clock: Clock) -> None:
    _, denied = await sent(pages, "/device_authorization")
    control = f"{pages.sim.base_url}/_sim/device"
    said = {"user_code": denied["user_code"], "decision": "deny"}
    assert (await pages.http.post(control, json=said)).status == 204
    assert (await pages.http.post(control, json=said)).status == 404, "it is decided"
    assert await poll(pages, denied["device_code"]) == "access_denied"
    _, late = await sent(pages, "/device_authorization")
    clock.go_on(600)
    assert await poll(pages, late["device_code"]) == "expired_token"
    assert (await pages.http.post(control, json={"user_code": late["user_code"]})).status == 404
    assert (await pages.http.post(control, json={"user_code": "x", "login": "nobody"})).status == 400


async def test_automatic_approval_decides_for_the_first_user(pages: Driver) -> None:
    pages.behave(device_interval=1, device_code_lifetime=30)
    _, codes = await sent(pages, "/device_authorization")
    assert (codes["interval"], codes["expires_in"]) == (1, 30)
    assert await poll(pages, codes["device_code"]) == "ok"
    pages.behave(deny="access_denied")
    _, codes = await sent(pages, "/device_authorization")
    assert await poll(pages, codes["device_code"]) == "access_denied"
    pages.behave(fail="unauthorized_client")
    assert (await sent(pages, "/device_authorization"))[1]["error"] == "unauthorized_client"
    assert (await sent(pages, "/device_authorization", client_secret="wrong"))[1]["error"] == "invalid_client"


ASKED = {"response_type": "code", "redirect_uri": CALLBACK, "state": "pushed"}


async def opened(driver: Driver, **query: str) -> tuple[int, dict[str, str]]:
    """Open the authorization endpoint with exactly these parameters; return the status and what comes back."""
    async with driver.http.get(driver.sim.authorization_endpoint, params=query, allow_redirects=False) as answer:
        return answer.status, dict(parse_qsl(urlsplit(answer.headers.get("Location", "")).query))


async def test_a_pushed_request_works_once_and_for_its_client(pages: Driver, clock: Clock) -> None:
    pages.behave()
    status, pushed = await sent(pages, "/par", **ASKED)
    assert (status, pushed["expires_in"]) == (201, 60)
    mine = {"client_id": pages.client_id, "request_uri": pushed["request_uri"]}
    assert (await opened(pages, **{**mine, "client_id": "other"}))[0] == 400
    status, back = await opened(pages, **mine, state="evil")
    assert (status, back["state"]) == (302, "pushed"), "only what was pushed counts"
    assert (await pages.exchange(back["code"]))[0] == 200
    assert (await opened(pages, **mine))[0] == 400, "it works once"
    _, late = await sent(pages, "/par", **ASKED)
    clock.go_on(60)
    assert (await opened(pages, client_id=pages.client_id, request_uri=late["request_uri"]))[0] == 400


async def test_what_is_pushed_is_judged_at_once(pages: Driver) -> None:
    for wrong in (
        {"redirect_uri": "https://evil.example/"},
        {"response_type": "token"},
        {"request_uri": "urn:x"},
        {"client_secret": "wrong"},
    ):
        status, said = await sent(pages, "/par", **{**ASKED, **wrong})
        assert (status, "error" in said) == (401 if "client_secret" in wrong else 400, True), wrong


async def test_a_server_may_take_pushed_requests_only(pages: Driver) -> None:
    pages.behave(require_pushed=True)
    about = f"{pages.sim.base_url}/.well-known/oauth-authorization-server"
    document = await (await pages.http.get(about)).json()
    assert document["require_pushed_authorization_requests"] is True
    assert (await opened(pages, client_id=pages.client_id, **ASKED))[0] == 400
    _, pushed = await sent(pages, "/par", **ASKED)
    status, back = await opened(pages, client_id=pages.client_id, request_uri=pushed["request_uri"])
    assert (status, "code" in back) == (302, True)
