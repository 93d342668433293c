"""`keyrack.client` when the network or a server is at fault: safe requests are tried three times, others once."""

import asyncio
import re
import time
from typing import Any

import httpx2
import pytest

from keyrack.client import AsyncKeyrack, Keyrack, RateLimited, Refused, Unexpected, Unreachable
from keyrack.client.sending import Account
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from support.flows import Site, site
from support.loopback_peers import Proxy, receiving
from support.running import Running, in_loop, threaded


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}", apart=True)


async def asked(proxy: Proxy, place: Site, kind: str, name: str, *words: str) -> Any:
    """Let a client of either kind make a call through the proxy."""
    if kind == "threads":
        with threaded(proxy.base, place.user) as keyrack:
            return await asyncio.to_thread(getattr(keyrack, name), *words)
    async with in_loop(proxy.base, place.user) as other:
        return await getattr(other, name)(*words)


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_reading_survives_two_faults(proxy: Proxy, place: Site, kind: str) -> None:
    proxy.forget()
    proxy.faults.extend([0, 503])
    assert (await asked(proxy, place, kind, "flow", place.flow_id)).id == place.flow_id
    assert proxy.requests == [f"GET /v2/flows/{place.flow_id}"] * 3


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_the_third_fault_is_told(proxy: Proxy, place: Site, kind: str) -> None:
    for fault, expected in ((0, Unreachable), (502, Unexpected)):
        proxy.forget()
        proxy.faults.extend([fault] * 4)
        with pytest.raises(expected):
            await asked(proxy, place, kind, "me")
        assert len(proxy.requests) == 3


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_a_refresh_is_sent_once(proxy: Proxy, place: Site, kind: str) -> None:
    """Nobody knows whether a request that was cut off has spent a one-time refresh token."""
    for fault, expected in ((0, Unreachable), (503, Unexpected)):
        proxy.forget()
        proxy.faults.append(fault)
        with pytest.raises(expected):
            await asked(proxy, place, kind, "refresh", place.workspace_id, place.secret_id)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_what_keyrack_refuses_is_asked_once(proxy: Proxy, place: Site, kind: str) -> None:
    proxy.forget()
    with pytest.raises(Refused):
        await asked(proxy, place, kind, "flow", "0" * 24)
    assert len(proxy.requests) == 1


async def test_how_long_to_wait_is_told_and_not_waited_for() -> None:
    document = {"errors": [{"status": "503", "code": "database_unavailable", "title": "t", "detail": "d"}], "meta": {}}
    answers = [(503, "3600"), (429, "7"), (429, "Fri, 31 Dec 2999 23:59:59 GMT"), (429, "soon")]
    requests = 0

    def answer(_: httpx2.Request) -> httpx2.Response:
        nonlocal requests
        requests += 1
        status, wait = answers[requests - 1]
        return httpx2.Response(status, json=document, headers={"retry-after": wait})

    began = time.monotonic()
    waits = []
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        for _ in answers:
            with pytest.raises(Refused) as refused:
                await AsyncKeyrack("https://keyrack.example", "me@example.com", "key", http=http).me()
            waits.append(refused.value.retry_after)
            assert isinstance(refused.value, RateLimited) == (refused.value.status == 429)
    assert waits[:2] == [3600, 7]
    assert waits[2] is not None
    assert waits[2] > 1e9
    assert waits[3] is None
    assert time.monotonic() - began < 60
    assert requests == 4


async def test_what_is_not_keyrack_is_told() -> None:
    async with receiving() as other:
        base = other.url.removesuffix("/hook")
        with Keyrack(base, "me@example.com", "key") as keyrack, pytest.raises(Unexpected, match="is the address right"):
            await asyncio.to_thread(keyrack.me)


@pytest.mark.parametrize("path", ["", "/behind/a/proxy"])
async def test_what_cannot_be_reached_is_named_and_no_secret_with_it(path: str) -> None:
    base = f"http://127.0.0.1:9{path}"
    told = re.escape("ConnectError after 3 tries: GET /v2/users/me at http://127.0.0.1:9") + "$"
    unused = Keyrack(base, "me@example.com", "a-secret-key", timeout=1)
    with unused, pytest.raises(Unreachable, match=told):
        await asyncio.to_thread(unused.me)
    async with AsyncKeyrack(base, "me@example.com", "a-secret-key", timeout=1) as waiting:
        with pytest.raises(Unreachable, match=told):
            await waiting.me()


def test_a_host_is_named_without_what_surrounds_it() -> None:
    account = Account("https://me:pass@[2001:db8::1]:8443/path?key=word", "me", Secret("key"))
    told = str(account.unreachable(TimeoutError(), 1, "POST /v2/flows"))
    assert told == "TimeoutError after 1 try: POST /v2/flows at https://[2001:db8::1]:8443"


async def test_a_silent_server_is_waited_for_no_longer_than_told() -> None:
    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    silence = asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with AsyncKeyrack(f"http://127.0.0.1:{port}", "me@example.com", "key", timeout=0.2) as keyrack:
        with pytest.raises(Unreachable, match="Timeout after 3 tries"):
            await keyrack.me()
    silence.set()
    server.close()


async def test_a_redirect_never_carries_the_key_elsewhere() -> None:
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(307, headers={"location": "https://elsewhere.example/"})

    http = httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True)
    with http, pytest.raises(Unexpected):
        await asyncio.to_thread(Keyrack("https://keyrack.example/api/", "me@example.com", "key", http=http).me)
    assert seen == ["https://keyrack.example/api/v2/users/me"]
