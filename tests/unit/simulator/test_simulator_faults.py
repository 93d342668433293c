import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from keyrack.clock import now

Driver = Any
FORM = {"grant_type": "client_credentials"}


async def test_latency_comes_before_and_after_processing(driver: Driver) -> None:
    for sim, before in (("latency:300", True), ("latency_after:300", False)):
        began = now().timestamp()
        assert (await driver.token(sim=sim, **FORM))[0] == 200
        ended = now().timestamp()
        (token,) = driver.sim.state.book.all(lambda _token: True)
        waited = token.issued_at - began if before else ended - token.issued_at
        assert waited > 0.29
        driver.sim.state.reset()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_status_with_retry_after(driver: Driver, status: int) -> None:
    async with driver.token_call(sim=f"status:{status},retry_after:7", **FORM) as answer:
        assert answer.status == status
        assert answer.headers["Retry-After"] == "7"
    async with driver.token_call(sim=f"status:{status},retry_after:60,retry_after_as_date", **FORM) as answer:
        wait = parsedate_to_datetime(answer.headers["Retry-After"]) - now()
        assert 50 < wait.total_seconds() <= 60
    async with driver.token_call(sim=f"status:{status}", **FORM) as answer:
        assert "Retry-After" not in answer.headers
    assert driver.sim.state.calls(outcome="fault") == 3
    assert not list(driver.sim.state.book.all(lambda _token: True))


async def _raw(driver: Driver, sim: str, refresh_token: str) -> bytes:
    """Send one refresh over a bare connection; return all bytes until it ends."""
    host, port = driver.sim.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = (
        f"grant_type=refresh_token&refresh_token={refresh_token}"
        f"&client_id={driver.client_id}&client_secret={driver.client_secret}"
    )
    writer.write(
        f"POST /token?sim={sim} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode()
    )
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


async def test_hang_up_before_closes_the_connection_and_uses_nothing_up(driver: Driver) -> None:
    driver.behave(rotation="strict")
    token = (await driver.connect())["refresh_token"]
    assert await _raw(driver, "hang_up:before", token) == b""
    assert driver.sim.state.calls(outcome="fault", grant_type="refresh_token") == 1
    assert (await driver.refresh(token))[0] == 200


async def test_hang_up_after_loses_the_response_of_a_refresh_that_happened(driver: Driver) -> None:
    driver.behave(rotation="strict")
    token = (await driver.connect())["refresh_token"]
    assert await _raw(driver, "hang_up:after", token) == b""
    assert driver.sim.state.calls(outcome="ok", grant_type="refresh_token") == 1
    assert (await driver.refresh(token))[1]["error"] == "invalid_grant"


async def test_hang_up_midway_sends_half_a_body(driver: Driver) -> None:
    token = (await driver.connect())["refresh_token"]
    head, _, body = (await _raw(driver, "hang_up:midway", token)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body.startswith(b'{"access_token":')
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    with pytest.raises(aiohttp.ClientPayloadError):
        await driver.refresh(token, sim="hang_up:midway")


async def test_the_server_goes_on_after_hang_ups(driver: Driver) -> None:
    for kind in ("before", "after", "midway"):
        with pytest.raises(aiohttp.ClientError):
            await driver.token(sim=f"hang_up:{kind}", **FORM)
        assert (await driver.token(**FORM))[0] == 200


async def test_padding_makes_a_huge_body_that_is_still_json(driver: Driver) -> None:
    async with driver.token_call(sim="padding:3000001", **FORM) as answer:
        body = await answer.read()
    assert answer.status == 200
    assert len(body) > 3_000_001
    assert "access_token" in json.loads(body)


async def test_redirect_to_another_host(driver: Driver) -> None:
    async with driver.token_call(sim="redirect_to:https://other.example/token", **FORM) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == "https://other.example/token"


async def test_a_clients_faults_apply_where_it_says(driver: Driver) -> None:
    driver.behave(status=500)
    code = (await driver.authorize())["code"]
    assert (await driver.exchange(code))[0] == 500
    driver.behave(status=500, faults_at=["me"])
    tokens = (await driver.exchange(code))[1]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with driver.http.get(f"{driver.sim.base_url}/api/me", headers=headers) as answer:
        assert answer.status == 500


async def test_every_endpoint_takes_faults(driver: Driver) -> None:
    paths = ["/authorize", "/api/me", "/.well-known/oauth-authorization-server"]
    for path in paths:
        async with driver.http.get(driver.sim.base_url + path, params={"sim": "status:503"}) as answer:
            assert answer.status == 503
    for path in ("/token", "/revoke", "/introspect"):
        url = driver.sim.base_url + path
        async with driver.http.post(url, params={"sim": "status:503"}, data={"token": "x"}) as answer:
            assert answer.status == 503
