"""The hot read over HTTP: answered without the application being called, and as the application answers it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import structlog
import uvicorn

from keyrack import metrics
from keyrack.api.core.caller_address import CallerAddress
from keyrack.api.core.connections import ConnectionLimits, Connections
from keyrack.api.core.direct import DIRECT
from keyrack.api.core.http_protocol import served_by
from keyrack.api.core.middleware import Middleware
from keyrack.api.core.rate_limits import Rates, Throttle
from keyrack.crypto.secret import Secret
from keyrack.model.secrets import SecretState
from keyrack.service.identity.authentication import key_hash
from keyrack.short_memory import ShortMemory
from keyrack.store.secret_reader import SecretReader
from support.app import Caller, TenantInTest, World
from support.grants import add_auth_client, add_secret, change
from support.hot import hot
from support.waits_and_faults import until

LIMITS = ConnectionLimits(connections=100, per_address=0, header_seconds=60, body_seconds=60, write_seconds=60)


@dataclass
class OverHttp:
    """A world on a port, and how often its application was called.

    Attributes:
        http: speaks to the port.
        port: the port.
        called: how often a request got to the application.
    """

    world: World
    http: httpx2.AsyncClient
    port: int
    called: int = 0

    @property
    def acme(self) -> TenantInTest:
        return self.world.tenants["Acme"]

    def over(self, who: Caller) -> Caller:
        """Return somebody who speaks to the port."""
        return Caller(self.http, who.name, who.api_key, who.id)

    async def secret(self, text: str = "at", **values: Any) -> str:
        """Store a secret of Acme; return its path."""
        client = await add_auth_client(self.world.store, self.acme.id, "http://127.0.0.1:8/token")
        secret = await add_secret(self.world.store, self.acme, client, {"access_token": text, "refresh_token": "rt"})
        if values:
            await change(self.world.store, secret, **values)
        return f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"

    async def known(self, who: Caller, path: str) -> Caller:
        """Return somebody over HTTP who is remembered as a reader of a secret."""
        known = self.over(who)
        for _ in range(2):
            await known.get(path)
        return known

    async def direct(self, who: Caller, path: str, **more: Any) -> tuple[httpx2.Response, bool]:
        """Ask; return the answer, and whether the application was left alone."""
        before = self.called
        answer = await who.get(path, **more)
        return answer, self.called == before

    async def speak(self, *requests: bytes) -> bytes:
        """Send requests over one connection, in one piece, and return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"".join(requests))
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer


@asynccontextmanager
async def over_http(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OverHttp]:
    really = Middleware.__call__

    async def call(self: Middleware, *given: Any) -> None:
        made.called += 1
        await really(self, *given)

    monkeypatch.setattr(Middleware, "__call__", call)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        http = served_by(Connections(LIMITS))
        config = uvicorn.Config(world.app, http=http, lifespan="off", log_config=None, access_log=False, ws="none")
        config.load()
        lifespan = config.lifespan_class(config)
        lifespan.state[DIRECT] = world.front._direct
        monkeypatch.setattr(config, "lifespan_class", lambda _config: lifespan)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([bound]))  # `serve` would take the tests' signals
        try:
            async with hot(world), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                made = OverHttp(world, client, port)
                yield made
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def served(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OverHttp]:
    async with over_http(keyrack_on_each, monkeypatch) as made:
        yield made


def request(path: str, who: Caller, *more: str, version: str = "1.1") -> bytes:
    lines = [f"GET {path} HTTP/{version}", "host: k", f"authorization: {who.headers['authorization']}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def headers_of(answer: httpx2.Response) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in answer.headers.raw if name not in (b"x-request-id", b"date")]


async def test_a_reader_who_is_remembered_is_answered_the_same_without_the_application(served: OverHttp) -> None:
    path = await served.secret("ü" * 100)
    who = await served.known(served.acme.integrator, path)
    answer, direct = await served.direct(who, path)
    assert direct
    await served.world.services.fast_reads.close()
    by_framework, direct = await served.direct(who, path)
    assert not direct
    assert answer.status_code == by_framework.status_code == 200
    assert headers_of(answer) == headers_of(by_framework)
    assert answer.content == by_framework.content
    assert answer.headers["x-request-id"] != by_framework.headers["x-request-id"]


async def test_it_is_logged_counted_and_noted_as_the_applications_answer_is(served: OverHttp) -> None:
    path = await served.secret()
    who = await served.known(served.acme.integrator, path)
    last_use, key_use = served.world.services.last_use, served.world.services.key_use
    counts = served.world.services.audit_parts.counter._counts
    seen = []
    for expected in (True, False):
        last_use._noted.clear()
        key_use._noted.clear()
        counts.clear()
        counted: list[tuple[Any, ...]] = []
        with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as log:
            patch.setattr(metrics, "request", lambda *given: counted.append(given[:3]))  # noqa: B023 - called in here
            answer, direct = await served.direct(who, path, headers={"x-request-id": "mine 1"})
        assert direct is expected
        assert answer.headers["x-request-id"] == "mine 1"
        lines = [{name: value for name, value in line.items() if name != "ms"} for line in log]
        assert lines[0]["request_id"] == "mine 1"
        seen.append((lines, counted, set(last_use._noted), set(key_use._noted), set(counts)))
        await served.world.services.fast_reads.close()
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == len(seen[0][1]) == len(seen[0][2]) == 1
    assert seen[0][3] == {key_hash(Secret(who.api_key))}
    secret_id = path.rpartition("/")[2]
    assert seen[0][4] == {(served.acme.id, who.id, "secret.read", secret_id, "127.0.0.1", "allowed")}


async def test_what_is_not_plain_gets_to_the_application(served: OverHttp) -> None:
    path = await served.secret()
    error = await served.secret(
        state=SecretState.error, error="gone", error_at=datetime.now(UTC).replace(microsecond=0)
    )
    who = await served.known(served.acme.integrator, path)
    for address, more, status in (
        (f"{path}?min_validity=0", {}, 200),
        (f"{path[:-24]}{'0' * 24}", {}, 404),
        (error, {}, 200),
        (path, {"headers": {"accept": "text/html"}}, 406),
        (path, {"headers": {"authorization": "Basic x"}}, 401),
    ):
        answer, direct = await served.direct(who, address, **more)
        assert (answer.status_code, direct) == (status, False), address
    for other, status in (
        (Caller(served.http, "nobody@acme.example", who.api_key), 401),
        (Caller(served.http, who.name, "kr_wrong"), 401),
        (served.over(served.world.tenants["Globex"].admin), 403),
        (served.over(served.acme.stranger), 403),
    ):
        for _ in range(2):
            answer, direct = await served.direct(other, path)
            assert (answer.status_code, direct) == (status, False)
    assert (await who.get(path, headers={"accept": "*/*"})).status_code == 200


async def test_a_name_in_other_letters_is_found_to_be_the_same_before_it_is_remembered(served: OverHttp) -> None:
    path = await served.secret()
    who = await served.known(served.acme.integrator, path)
    louder = Caller(served.http, who.name.upper(), who.api_key)
    assert [(await served.direct(louder, path))[1] for _ in range(2)] == [True, True]


async def test_requests_are_counted_once_however_they_are_answered(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with over_http(keyrack, monkeypatch) as served:
        fresh, other = await served.secret(), await served.secret(state=SecretState.error, error="gone")
        who = await served.known(served.acme.integrator, fresh)
        for rates in (Rates(caller=10), Rates(tenant=10), Rates(address=10)):
            keyrack.front._throttle = Throttle(rates, lambda: 0.0)
            assert keyrack.front._direct is not None
            keyrack.front._direct._throttle = keyrack.front._throttle
            answers = [await served.direct(who, path) for path in (fresh, other) * 5]
            assert [(answer.status_code, direct) for answer, direct in answers] == [(200, True), (200, False)] * 5
            for path in (fresh, other):
                answer, _ = await served.direct(who, path)
                assert answer.status_code == 429
                assert int(answer.headers["retry-after"]) > 0


async def test_pipelined_requests_are_answered_in_their_order(served: OverHttp) -> None:
    one, two = await served.secret("at-1"), await served.secret("at-2")
    other = await served.secret("at-3", state=SecretState.error, error="gone")
    who = await served.known(served.acme.integrator, one)
    await served.known(served.acme.integrator, two)
    asked = [request(path, who) for path in (one, two, other, one, other, two)]
    answer = await served.speak(*asked, request("/healthz", who, "connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK") == 7
    at = [answer.index(f'"id":"{path[-24:]}"'.encode()) for path in (one, two, other)]
    assert at == sorted(at)
    tokens = [part[:4] for part in answer.split(b'"access_token":"')[1:]]
    assert tokens == [b"at-1", b"at-2", b"at-3", b"at-1", b"at-3", b"at-2"]


@pytest.mark.parametrize("how", ["connection: close", "HTTP/1.0"])
async def test_the_last_answer_of_a_connection_says_so(served: OverHttp, how: str) -> None:
    path = await served.secret()
    who = await served.known(served.acme.integrator, path)
    before = served.called
    more = ("connection: close",) if how == "connection: close" else ()
    answer = await served.speak(request(path, who, *more, version="1.1" if more else "1.0"))
    assert served.called == before
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n\r\n" in answer


async def test_one_who_leaves_before_the_answer_costs_the_others_nothing(
    served: OverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await served.secret()
    who = await served.known(served.acme.integrator, path)
    reads: SecretReader = served.world.services.fast_reads._points
    held: list[tuple[Any, ...]] = []
    monkeypatch.setattr(reads, "ask", lambda *given: held.append(given))
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request(path, who))
    staying = asyncio.create_task(who.get(path))
    async with asyncio.timeout(60):
        await until(lambda: len(held) == 2)
        writer.transport.abort()
        for _ in range(20):
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        for given in held:
            reads.ask(*given)
        answer = await staying
    assert answer.status_code == 200
    assert "access_token" in answer.text
    del reader


async def test_a_key_ends_when_it_expires_also_for_a_remembered_reader(
    served: OverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, callers = await served.secret(), served.world.services.fast_reads.callers
    ends = datetime.now(UTC) + timedelta(minutes=10)
    attributes = {"name": "short", "expires_at": ends.isoformat()}
    made = await served.acme.integrator.post(
        "/v2/users/me/api-keys", {"data": {"type": "api-key", "attributes": attributes}}
    )
    api_key = made.json()["data"]["attributes"]["api_key"]
    who = await served.known(Caller(served.http, served.acme.integrator.name, api_key), path)
    assert (await served.direct(who, path))[1]
    monkeypatch.setattr(callers, "_clock", lambda: ends)
    answer, direct = await served.direct(who, path)
    assert (answer.status_code, direct) == (401, False)


async def test_a_token_that_falls_due_is_no_longer_answered_directly(
    served: OverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await served.secret()
    who = await served.known(served.acme.integrator, path)
    assert (await served.direct(who, path))[1]
    later = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(served.world.services.fast_reads, "_clock", lambda: later)
    assert not (await served.direct(who, path))[1], "though its row has not changed since it was opened"


async def test_a_change_is_seen_by_the_next_read(served: OverHttp) -> None:
    path = await served.secret()
    who, admin = await served.known(served.acme.integrator, path), served.over(served.acme.admin)
    for number in range(5):
        credentials = {"access_token": f"at-{number}", "refresh_token": "rt"}
        body = {"data": {"type": "auth-secret", "attributes": {"credentials": credentials}}}
        assert (await admin.patch(path, body)).status_code == 200
        answers = await asyncio.gather(*(who.get(path) for _ in range(10)))
        assert {each.json()["data"]["attributes"]["credentials"]["access_token"] for each in answers} == {
            f"at-{number}"
        }
    assert (await admin.delete(path)).status_code == 204
    assert (await who.get(path)).status_code == 404


async def test_the_server_is_told_when_it_starts(keyrack: World) -> None:
    async def framework(*_: Any) -> None:
        """Start at once."""

    front = keyrack.front
    announced = Middleware(framework, front._authentication, front._throttle, CallerAddress(), front._hot)
    scope: dict[str, Any] = {"type": "lifespan", "state": {}}
    await announced(scope, None, None)  # type: ignore[arg-type] # nobody receives or sends
    assert scope["state"] == {DIRECT: announced._direct}
    assert announced._direct is not None


async def test_what_is_opened_is_forgotten_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyrack.short_memory.SECONDS", 0.05)
    monkeypatch.setattr("keyrack.short_memory._MOST", 2)
    memory: ShortMemory[int, str] = ShortMemory()
    for number in range(3):
        memory.keep(number, "opened")
    memory.keep(1, "opened again")
    assert [memory.get(number) for number in range(3)] == ["opened", "opened again", None]
    await until(lambda: memory.get(0) is None)
    assert memory.get(1) is None
    memory.keep(1, "anew")
    memory.forget()
    assert memory.get(1) is None
