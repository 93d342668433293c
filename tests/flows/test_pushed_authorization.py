"""Authorization requests that are pushed first, at the simulator (RFC 9126; decision 40)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from support.app import error_of
from support.consent import approve, come_back
from support.device_desk import DeviceDesk


def by_push(desk: DeviceDesk, *, pushed: bool = True, **endpoints: Any) -> dict[str, Any]:
    addresses = {
        "authorization": desk.simulator.authorization_endpoint,
        "token": desk.simulator.token_endpoint,
        **endpoints,
    }
    return {"name": "par", "endpoints": addresses, "authorization": {"pushed": pushed}}


@pytest.fixture
async def desk(device_desk: DeviceDesk) -> DeviceDesk:
    device_desk.simulator.state.set_defaults({"approval": "auto"})
    endpoint = f"{device_desk.simulator.base_url}/par"
    assert (await device_desk.make_client(by_push(device_desk, pushed_authorization=endpoint))).status_code == 201
    return device_desk


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def test_the_browser_carries_only_a_reference(desk: DeviceDesk) -> None:
    started = await desk.started(scopes=["read"], additional_params={"prompt": "login"})
    carried = query(started["authorization_url"])
    assert carried.keys() == {"client_id", "request_uri"}
    assert started["authorization_url_expires_at"]
    (pushed,) = desk.simulator.state.pushed._kept.values()
    assert pushed.parameters.keys() == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
        "prompt",
    }  # fmt: skip
    callback = await approve(started["authorization_url"])
    assert query(callback)["iss"] == desk.simulator.base_url
    await come_back(desk.world, callback)
    seen = await desk.seen(started["id"])
    assert (seen["status"], bool(seen["made"])) == ("completed", True)


async def test_a_callback_of_a_pushed_request_is_judged_by_iss(desk: DeviceDesk) -> None:  # RFC 9207 2.4
    endpoints: dict[str, Any] = {
        "pushed_authorization": f"{desk.simulator.base_url}/par",
        "issuer": desk.simulator.base_url,
    }
    assert (await desk.make_client(by_push(desk, **endpoints))).status_code == 201
    for iss, ends in (("send", "completed"), ("wrong", "failed"), ("omit", "failed")):
        desk.simulator.state.set_defaults({"approval": "auto"})
        started = await desk.started()
        await desk.world.services.issuers.metadata(desk.simulator.base_url, tenant_id="")  # which announces `iss`
        desk.simulator.state.set_defaults({"approval": "auto", "iss": iss})
        await come_back(desk.world, await approve(started["authorization_url"]))
        assert (await desk.seen(started["id"]))["status"] == ends, iss


async def test_a_bound_link_pushes_anew_for_whoever_opens_it(desk: DeviceDesk) -> None:
    """A reference lives for a minute and works once; the link is good as long as the consent."""
    started = await desk.started(bound=True)
    assert "authorization_url_expires_at" not in started
    link = started["authorization_url"]
    desk.clock.go_on(300)
    page = await desk.world.http.get(link)
    token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    carried = []
    for _ in range(2):
        sent = await desk.world.http.post(link, data={"form_token": token})
        assert sent.status_code == 303
        carried.append(query(sent.headers["location"])["request_uri"])
    assert carried[0] != carried[1]
    callback = await approve(sent.headers["location"])
    assert (await desk.world.http.get(callback)).status_code == 200
    assert (await desk.seen(started["id"]))["status"] == "completed"


async def test_a_link_whose_request_is_not_taken_says_so_and_stays_good(desk: DeviceDesk) -> None:
    started = await desk.started(bound=True)
    page = await desk.world.http.get(started["authorization_url"])
    form = {"form_token": page.text.partition('name="form_token" value="')[2].partition('"')[0]}
    desk.simulator.state.set_defaults({"approval": "auto", "fail": "invalid_request"})
    refused = await desk.world.http.post(started["authorization_url"], data=form)
    assert refused.status_code == 400
    assert "invalid_request" in refused.text
    assert "the simulator was told to fail" in refused.text
    desk.simulator.state.set_defaults({"approval": "auto"})
    assert (await desk.world.http.post(started["authorization_url"], data=form)).status_code == 303


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ({"fail": "unauthorized_client"}, 400, "provider_error"),
        ({"faults_at": ["par"], "status": 503}, 400, "provider_unavailable"),
        ({"faults_at": ["par"], "hang_up": "before"}, 400, "provider_unavailable"),
    ],
)
async def test_starting_tells_why_a_request_was_not_taken(
    desk: DeviceDesk, behaviour: dict[str, Any], status: int, code: str
) -> None:
    desk.simulator.state.set_defaults(behaviour)
    refused = await desk.begin()
    assert error_of(refused)[:2] == (status, code), refused.text
    if "fail" in behaviour:
        (error,) = refused.json()["errors"]
        assert error["meta"]["error"] == "unauthorized_client"


async def test_metadata_of_the_client_s_own_issuer_may_require_it(desk: DeviceDesk) -> None:
    desk.simulator.state.set_defaults({"approval": "auto", "require_pushed": True})
    named = by_push(desk, pushed=False, issuer=desk.simulator.base_url)
    assert (await desk.make_client(named)).status_code == 201
    started = await desk.started()
    assert query(started["authorization_url"]).keys() == {"client_id", "request_uri"}
    await come_back(desk.world, await approve(started["authorization_url"]))
    assert (await desk.seen(started["id"]))["status"] == "completed"


async def test_a_profile_that_pushes_without_an_endpoint_asks_the_issuer(desk: DeviceDesk) -> None:
    assert (await desk.make_client(by_push(desk, issuer=desk.simulator.base_url))).status_code == 201
    assert query((await desk.started())["authorization_url"]).keys() == {"client_id", "request_uri"}
    refused = await desk.make_client(by_push(desk))
    assert refused.status_code == 400
    assert "is needed" in refused.text
