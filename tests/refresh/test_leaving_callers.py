"""A caller that leaves during a refresh takes nobody along: the provider is asked once, who stays gets the token."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.model.secrets import AuthSecret
from support.app import Caller, World
from support.grants import stored
from support.keyrack_processes import Server, environment
from support.raw_provider import RawProvider, connect_raw, json_answer

NEW = json_answer('{"access_token":"at-2","refresh_token":"rt-2","expires_in":3600}')
HOW = [("GET", ""), ("POST", "/refresh")]
"""A read of an expired token, and a refresh by hand."""


@asynccontextmanager
async def refreshing(
    world: World, provider: RawProvider, first: Callable[[AuthSecret], Awaitable[Any]]
) -> AsyncIterator[tuple[AuthSecret, "asyncio.Task[Any]"]]:
    """Let a first caller cause a refresh that stands still at the provider until the block ends."""
    provider.answers = [NEW]
    provider.go_on.clear()
    secret = (await connect_raw(world, provider)).secret
    task = asyncio.ensure_future(first(secret))
    await asyncio.wait_for(provider.asked.wait(), 60)
    yield secret, task
    provider.go_on.set()


def path_of(secret: AuthSecret) -> str:
    return f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"


def token_in(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["data"]["attributes"]["credentials"]["access_token"]
    return token


@pytest.mark.parametrize(("method", "rest"), HOW)
async def test_a_request_that_is_cancelled_leaves_the_refresh_to_the_others(
    keyrack: World, raw_provider: RawProvider, method: str, rest: str
) -> None:
    who = keyrack.tenants["Acme"].admin

    async def ask(secret: AuthSecret) -> httpx2.Response:
        return await who.call(method, path_of(secret) + rest)

    async with refreshing(keyrack, raw_provider, ask) as (secret, first):
        second, third, fourth = others = [asyncio.create_task(ask(secret)) for _ in range(3)]
        await asyncio.wait(others, timeout=0.5)  # so that they share it
        for leaving in (first, third):
            leaving.cancel()
        left = await asyncio.gather(first, third, return_exceptions=True)
        assert [type(each) for each in left] == [asyncio.CancelledError, asyncio.CancelledError]
        assert keyrack.services.refreshing.refresher.running == 1
    assert [token_in(await each) for each in (second, fourth)] == ["at-2", "at-2"]
    assert len(raw_provider.requests) == 1


@pytest.mark.parametrize(("method", "rest"), HOW)
async def test_a_client_that_hangs_up_leaves_the_refresh_to_the_others(
    keyrack: World, raw_provider: RawProvider, tmp_path: Path, method: str, rest: str
) -> None:
    who = keyrack.tenants["Acme"].admin
    server = Server(environment(keyrack.settings), tmp_path / "server.log", "--no-worker")
    try:
        await asyncio.to_thread(server.wait_until_ready)

        async def begin(secret: AuthSecret) -> asyncio.StreamWriter:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(_request(who, method, path_of(secret) + rest))
            await writer.drain()
            return writer

        async with httpx2.AsyncClient(base_url=server.base, timeout=60, headers=who.headers) as http:
            async with refreshing(keyrack, raw_provider, begin) as (secret, connection):
                other = asyncio.create_task(http.request(method, path_of(secret) + rest))
                await asyncio.wait([other], timeout=0.5)  # so that it shares it
                (await connection).transport.abort()
                assert (await http.get("/healthz")).status_code == 200  # the server has had its turn since
            assert token_in(await other) == "at-2"
        assert len(raw_provider.requests) == 1
        assert (await stored(keyrack.store, secret)).credentials["refresh_token"] == "rt-2"
    finally:
        server.kill()


@pytest.mark.parametrize(("method", "rest"), HOW)
async def test_a_refresh_that_everybody_left_is_finished_all_the_same(
    keyrack: World, raw_provider: RawProvider, method: str, rest: str
) -> None:
    who = keyrack.tenants["Acme"].admin

    async def ask(secret: AuthSecret) -> httpx2.Response:
        return await who.call(method, path_of(secret) + rest)

    async with refreshing(keyrack, raw_provider, ask) as (secret, only):
        only.cancel()
        await asyncio.gather(only, return_exceptions=True)
    await keyrack.services.refreshing.refresher.drain(60)
    now = await stored(keyrack.store, secret)
    assert (now.credentials["access_token"], now.credentials["refresh_token"]) == ("at-2", "rt-2")
    assert len(raw_provider.requests) == 1


def _request(who: Caller, method: str, path: str) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in who.headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{headers}\r\n".encode()
