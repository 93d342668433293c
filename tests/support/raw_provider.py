"""A token endpoint on loopback whose answers are given byte by byte, and secrets whose grants are there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from support.app import World
from support.grants import Connected, add_auth_client, add_secret
from support.provider_servers import LoopbackServers, http_answer


def json_answer(text: str, status: str = "200 OK", **headers: str) -> bytes:
    """Return the bytes of an HTTP answer that carries a JSON text; more headers by their name with `_` for `-`."""
    return http_answer(text.encode(), status, Content_Type="application/json", **headers)


class RawProvider:
    """Answers each request with the next of `answers`, the last one for ever, and closes the connection after it."""

    def __init__(self, servers: LoopbackServers) -> None:
        self.answers: list[bytes] = [json_answer("{}")]
        self.delay = 0.0
        """Seconds between a request and its answer."""
        self.keep_open = False
        """Leave the connection open after an answer, until the other side closes it."""
        self.asked = asyncio.Event()
        """Set when a request has been read, before it is answered."""
        self.go_on = asyncio.Event()
        """Cleared: requests are read, and wait for their answers until it is set."""
        self.go_on.set()
        self.url = ""
        self._servers = servers

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/token"

    @property
    def requests(self) -> list[bytes]:
        """Every request as it came, head and body."""
        return self._servers.requests

    @property
    def forms(self) -> list[dict[str, str]]:
        """The form of every request."""
        return [dict(parse_qsl(request.partition(b"\r\n\r\n")[2].decode())) for request in self.requests]

    async def start(self) -> None:
        self.url = f"http://127.0.0.1:{await self._servers.start(self._serve)}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._servers.read(reader)
        self.asked.set()
        await self.go_on.wait()
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        await asyncio.sleep(self.delay)
        writer.write(answer)
        await writer.drain()
        if self.keep_open:
            await reader.read()


@pytest.fixture
async def raw_provider() -> AsyncIterator[RawProvider]:
    """A token endpoint that sends exactly the bytes a test puts into `answers`."""
    servers = LoopbackServers()
    provider = RawProvider(servers)
    await provider.start()
    yield provider
    await servers.stop()


async def connect_raw(
    world: World,
    provider: RawProvider,
    tokens: dict[str, Any] | None = None,
    *,
    tenant: str = "Acme",
    age: int = 4000,
    lifetime: int = 3600,
    **credentials: Any,
) -> Connected:
    """Store a secret of a tenant whose grant is at a raw provider; by default its token has expired.

    Args:
        world: where.
        provider: whose token endpoint the auth client names.
        tokens: the secret's credentials.
        tenant: whose it is.
        age: seconds since the token was issued.
        lifetime: seconds the token lives.
        credentials: more members of the auth client's credentials.
    """
    owner = world.tenants[tenant]
    client = await add_auth_client(world.store, owner.id, provider.token_endpoint, **credentials)
    given = {"access_token": "at-1", "refresh_token": "rt-1"} if tokens is None else tokens
    return Connected(client, await add_secret(world.store, owner, client, given, age=age, lifetime=lifetime))
