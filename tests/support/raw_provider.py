"""Providers on loopback that answer byte by byte as told, and secrets and consents whose grants are there."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from keyrack.crypto.secret import Secret
from keyrack.oauth.wire import FormRequest
from support.app import Caller, World, relationship
from support.consent import CALLBACK, query_of, start
from support.grants import Connected, add_auth_client, add_secret

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class LoopbackServers:
    """Starts servers, remembers the requests they read, and stops all of them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.connected = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self.connected.set()
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await handler(reader, writer)
            except asyncio.CancelledError:
                pass  # the test is over
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, host, 0, ssl=tls)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def answer(self, *answers: bytes, **start: object) -> int:
        """Start a server that reads one request for each answer, on one connection, and then closes it."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await self.read(reader)
                writer.write(answer)
                await writer.drain()

        return await self.start(handle, **start)  # type: ignore[arg-type]  # passed through

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        length = int(next(lengths, b":0").partition(b":")[2])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FakeResolver(AbstractResolver):
    """Answers each lookup with the next list of addresses, the last one for ever."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.lookups = 0
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        answer = self.answers[min(self.lookups, len(self.answers) - 1)]
        self.lookups += 1
        if isinstance(answer, OSError):
            raise answer
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0) for address in answer
        ]

    async def close(self) -> None:
        self.closed = True


def http_answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def token_request(url: str, *form: tuple[str, str], authorization: str | None = None) -> FormRequest:
    return FormRequest(
        url,
        form or (("grant_type", "refresh_token"), ("refresh_token", "rt-1")),
        Secret(authorization) if authorization is not None else None,
    )


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


AttributesOf = dict[str, Any]


def tokens_answer(**members: Any) -> bytes:
    """Return a token response, by default with both tokens, as the bytes of an HTTP answer."""
    return json_answer(json.dumps({"access_token": "at-new", "refresh_token": "rt-new", **members}))


class RawConsents:
    """Connects accounts of Acme's integrator at a raw provider."""

    def __init__(self, world: World, provider: RawProvider) -> None:
        self.world = world
        self.provider = provider
        self.tenant = world.tenants["Acme"]
        self.who: Caller = self.tenant.integrator
        self.client_id = ""

    async def begin(self, **credentials: Any) -> None:
        """Make the auth client."""
        made = await add_auth_client(self.world.store, self.tenant.id, self.provider.token_endpoint, **credentials)
        self.client_id = made.id

    async def consent(self, *answers: bytes, secret_id: str | None = None, **attributes: Any) -> AttributesOf:
        """Go through a consent whose code is exchanged for the first of `answers`, which all requests get in turn.

        Returns:
            The consent as its starter then sees it.
        """
        self.provider.answers = list(answers)
        named = {"auth_client": relationship("auth-client", self.client_id)}
        if secret_id is not None:
            named["auth_secret"] = relationship("auth-secret", secret_id)
        path = f"/v2/workspaces/{self.tenant.workspace_id}/oauth-consents"
        data = {"type": "oauth-consent", "attributes": attributes, "relationships": named}
        started = await self.who.post(path, {"data": data})
        assert started.status_code == 201, started.text
        return await self.finish(started.json()["data"])

    async def first_generation(self, answer: bytes, component_id: str) -> AttributesOf:
        """As `consent`, for a component with an OAuth field."""
        self.provider.answers = [answer]
        started = await start(self.who, self.tenant.workspace_id, component_id)
        assert started.status_code == 201, started.text
        return await self.finish(started.json()["data"])

    async def finish(self, consent: dict[str, Any]) -> AttributesOf:
        """Be the browser that comes back with a code."""
        state = query_of(consent["attributes"]["authorization_url"])["state"]
        await self.world.http.get(f"{CALLBACK}?{urlencode({'code': 'the-code', 'state': state})}")
        path = f"/v2/workspaces/{self.tenant.workspace_id}/oauth-consents/{consent['id']}"
        found: AttributesOf = (await self.who.get(path)).json()["data"]
        return found

    async def connect(self, answer: bytes, **attributes: Any) -> str:
        """Go through a consent that succeeds; return the id of its secret."""
        done = await self.consent(answer, **attributes)
        assert done["attributes"]["status"] == "completed", done
        secret_id: str = done["relationships"]["auth_secret"]["data"]["id"]
        return secret_id

    def path(self, secret_id: str) -> str:
        return f"/v2/workspaces/{self.tenant.workspace_id}/secrets/{secret_id}"

    async def seen(self, secret_id: str) -> AttributesOf:
        """Return a secret's attributes."""
        answer = await self.who.get(self.path(secret_id))
        assert answer.status_code == 200, answer.text
        attributes: AttributesOf = answer.json()["data"]["attributes"]
        return attributes

    async def refresh(self, secret_id: str, answer: bytes) -> AttributesOf:
        """Refresh a secret by hand with an answer; return its attributes, whatever came of it."""
        self.provider.answers = [answer]
        await self.who.post(f"{self.path(secret_id)}/refresh")
        return await self.seen(secret_id)

    async def events(self, kind: str) -> list[AttributesOf]:
        """Return the data of the tenant's events of a type."""
        answer = await self.tenant.admin.get(f"/v2/tenants/{self.tenant.id}/events?filter[type]={kind}")
        return [entry["attributes"]["data"] for entry in answer.json()["data"]]
