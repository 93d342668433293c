"""`KeyrackAuth`: a secret in the requests of httpx2 and httpx clients, kept, shared and renewed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import httpx2
import pytest

from keyrack.client import AsyncKeyrack, Keyrack, KeyrackAuth, Misconfigured, ProviderFault, TokenNotValid
from keyrack.client.for_httpx import KeyrackAuth as KeyrackAuthForHttpx
from keyrack.ids import new_id
from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.flows import site, step_of
from support.grants import Connected, change, client_credentials, connect, is_live, stored
from support.loopback_peers import Proxy, Receiver, answering, receiving
from support.profiled_clients import connected as connect_account
from support.profiled_clients import profiled_client
from support.running import Running, at_once, in_loop, threaded
from support.secrets import add_client, make

MANY = 50


@pytest.fixture
async def connected(running: Running, simulator: RunningSimulator) -> Connected:
    """Acme's secret with a token that is good for most of an hour; each refresh token works once."""
    return await connect(running.world, simulator, {"rotation": "strict"}, age=60)


@pytest.fixture
def keyrack(running: Running, proxy: Proxy) -> Iterator[Keyrack]:
    proxy.forget()
    with threaded(proxy.base, running.world.tenants["Acme"].admin) as opened:
        yield opened


@pytest.fixture
async def keyrack_async(running: Running, proxy: Proxy) -> AsyncIterator[AsyncKeyrack]:
    proxy.forget()
    async with in_loop(proxy.base, running.world.tenants["Acme"].admin) as opened:
        yield opened


@pytest.fixture
async def third_party() -> AsyncIterator[Receiver]:
    """Somebody who says 401 to everything until told otherwise."""
    async with receiving() as receiver:
        receiver.answer = answering(401)
        yield receiver


def withdraw(simulator: RunningSimulator, connected: Connected) -> None:
    old = connected.secret.credentials["access_token"]
    assert simulator.state.book.revoke(lambda token: token.value == old) == 1


def sent(proxy: Proxy, method: str) -> int:
    return sum(request.startswith(method) for request in proxy.requests)


def me(simulator: RunningSimulator) -> str:
    return f"{simulator.base_url}/api/me"


async def ask(auth: httpx2.Auth, url: str, times: int = 1) -> list[int]:
    """Send requests one after the other from a thread."""

    def send() -> list[int]:
        with httpx2.Client(auth=auth, timeout=60) as http:
            return [http.get(url).status_code for _ in range(times)]

    return await asyncio.to_thread(send)


async def test_a_token_is_read_once_and_used_until_it_nears_its_end(
    keyrack: Keyrack, proxy: Proxy, connected: Connected, simulator: RunningSimulator
) -> None:
    now = 1000.0
    names = (connected.secret.workspace_id, connected.secret.id)
    auth = KeyrackAuth(keyrack, *names, min_validity=60, clock=lambda: now)
    assert await ask(auth, me(simulator), 3) == [200, 200, 200]
    assert proxy.requests == [f"GET /v2/workspaces/{names[0]}/secrets/{names[1]}?min_validity=60"]
    now += 3600 - 60 - 60 - 200  # it was a minute old; 60 s before its end it is read again
    assert await ask(auth, me(simulator)) == [200]
    assert len(proxy.requests) == 1
    now += 260  # not to the second: how much was left is reckoned by the answer's Date, which a busy server sets late
    assert await ask(auth, me(simulator)) == [200]
    assert len(proxy.requests) == 2
    assert simulator.state.calls(grant_type="refresh_token") == 0


async def test_a_bound_token_goes_with_a_proof_for_each_request_and_the_server_s_nonce(
    running: Running, keyrack: Keyrack, keyrack_async: AsyncKeyrack, proxy: Proxy, simulator: RunningSimulator
) -> None:
    simulator.state.set_defaults({"approval": "auto", "dpop": "required", "dpop_nonce": 1_000_000_000})
    given = client_credentials(simulator.token_endpoint)
    endpoints = {"authorization": given["auth_uri"], "token": given["token_uri"]}
    profile = {"name": "strict", "dpop": "ES256", "endpoints": endpoints}
    ours = {name: given[name] for name in ("client_id", "client_secret")}
    path = await connect_account(running.world, await profiled_client(running.world, profile, **ours))
    _, _, _, workspace_id, _, secret_id = path.split("/")
    assert await ask(KeyrackAuth(keyrack, workspace_id, secret_id), me(simulator), 2) == [200, 200]
    assert [request.rpartition("/")[2] for request in proxy.requests][1:] == ["dpop-proof"] * 3, (
        "one for want of a nonce"
    )
    auth = KeyrackAuth(keyrack_async, workspace_id, secret_id)
    async with httpx2.AsyncClient(auth=auth, timeout=60) as http:
        assert [(await http.get(me(simulator))).status_code for _ in range(2)] == [200, 200]


async def test_a_withdrawn_token_is_refreshed_and_the_request_sent_once_more(
    running: Running, keyrack: Keyrack, proxy: Proxy, connected: Connected, simulator: RunningSimulator
) -> None:
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id)
    withdraw(simulator, connected)
    assert await ask(auth, me(simulator), 2) == [200, 200]
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 1]
    assert simulator.state.calls(endpoint="me", outcome="invalid_token") == 1
    assert simulator.state.calls(grant_type="refresh_token") == 1
    assert is_live(simulator, await stored(running.world.store, connected.secret))


async def test_a_token_that_somebody_else_refreshed_is_read_and_not_refreshed_again(
    running: Running, keyrack: Keyrack, proxy: Proxy, connected: Connected, simulator: RunningSimulator
) -> None:
    acme = running.world.tenants["Acme"]
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id)
    assert await ask(auth, me(simulator)) == [200]
    path = f"/v2/workspaces/{connected.secret.workspace_id}/secrets/{connected.secret.id}/refresh"
    assert (await acme.admin.post(path)).status_code == 200
    simulator.state.book.revoke(lambda token: token.value == connected.secret.credentials["access_token"])
    assert await ask(auth, me(simulator)) == [200]
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 0]
    assert simulator.state.calls(grant_type="refresh_token") == 1


async def test_many_threads_share_one_reading_and_one_refresh(
    keyrack: Keyrack, proxy: Proxy, connected: Connected, simulator: RunningSimulator
) -> None:
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id)
    withdraw(simulator, connected)

    def send() -> int:
        with httpx2.Client(auth=auth, timeout=120) as http:
            return http.get(me(simulator)).status_code

    assert await at_once(MANY, send) == [200] * MANY
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 1]
    assert simulator.state.calls(grant_type="refresh_token") == 1


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_many_tasks_share_one_reading_and_one_refresh(
    keyrack: Keyrack,
    keyrack_async: AsyncKeyrack,
    proxy: Proxy,
    connected: Connected,
    simulator: RunningSimulator,
    kind: str,
) -> None:
    source = keyrack if kind == "threads" else keyrack_async
    auth = KeyrackAuth(source, connected.secret.workspace_id, connected.secret.id)
    withdraw(simulator, connected)
    async with httpx2.AsyncClient(auth=auth, timeout=120) as http:
        answers = await asyncio.gather(*(http.get(me(simulator)) for _ in range(MANY)))
    assert [answer.status_code for answer in answers] == [200] * MANY
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 1]
    assert simulator.state.calls(grant_type="refresh_token") == 1


async def test_a_task_that_gives_up_does_not_take_the_token_from_the_others(
    keyrack_async: AsyncKeyrack, connected: Connected, simulator: RunningSimulator
) -> None:
    auth = KeyrackAuth(keyrack_async, connected.secret.workspace_id, connected.secret.id)
    async with httpx2.AsyncClient(auth=auth, timeout=120) as http:
        tasks = [asyncio.create_task(http.get(me(simulator))) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[0]
        assert [(await task).status_code for task in tasks[1:]] == [200, 200]


async def test_a_second_401_is_given_back_as_it_is(
    keyrack: Keyrack, proxy: Proxy, connected: Connected, third_party: Receiver
) -> None:
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id)
    assert await ask(auth, third_party.url) == [401]
    first, second = (message.headers["authorization"] for message in third_party.messages)
    assert first != second
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 1]


async def test_other_answers_are_left_alone(
    keyrack: Keyrack, proxy: Proxy, connected: Connected, third_party: Receiver
) -> None:
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id)
    for status in (403, 500, 204):
        third_party.answer = answering(status)
        assert await ask(auth, third_party.url) == [status]
    assert len(third_party.messages) == 3
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_a_provider_that_is_down_is_an_error_of_its_own(
    keyrack: Keyrack,
    keyrack_async: AsyncKeyrack,
    running: Running,
    connected: Connected,
    simulator: RunningSimulator,
    kind: str,
) -> None:
    names = (connected.secret.workspace_id, connected.secret.id)
    withdraw(simulator, connected)
    simulator.state.set_defaults({"status": 503})

    async def one(auth: KeyrackAuth) -> None:
        if kind == "threads":
            await ask(auth, f"{simulator.base_url}/api/me?sim=status:401")
        else:
            async with httpx2.AsyncClient(auth=auth) as http:
                await http.get(f"{simulator.base_url}/api/me?sim=status:401")

    source = keyrack if kind == "threads" else keyrack_async
    with pytest.raises(ProviderFault) as refused:
        await one(KeyrackAuth(source, *names))
    assert refused.value.code == "provider_unavailable"
    await expire(running.world, connected)
    with pytest.raises(TokenNotValid) as expired:
        await one(KeyrackAuth(source, *names))
    assert expired.value.meta["error_code"] == "provider_unavailable"


async def expire(world: World, connected: Connected) -> None:
    secret = await stored(world.store, connected.secret)
    assert secret.issued_at is not None
    assert secret.expires_at is not None
    lived = secret.expires_at - secret.issued_at
    await change(world.store, secret, issued_at=secret.issued_at - lived, expires_at=secret.issued_at)


async def test_the_same_auth_serves_httpx(
    keyrack: Keyrack, proxy: Proxy, connected: Connected, simulator: RunningSimulator
) -> None:
    auth = KeyrackAuthForHttpx(keyrack, connected.secret.workspace_id, connected.secret.id)
    withdraw(simulator, connected)
    async with httpx.AsyncClient(auth=auth, timeout=60) as http:
        assert (await http.get(me(simulator))).status_code == 200

    def send() -> int:
        with httpx.Client(auth=auth, timeout=60) as http:
            return http.post(me(simulator), content=b"x").status_code

    assert await asyncio.to_thread(send) == 405
    assert [sent(proxy, "GET"), sent(proxy, "POST")] == [2, 1]


async def test_a_body_that_can_be_sent_twice_is_and_one_that_cannot_leaves_the_401(
    keyrack_async: AsyncKeyrack, connected: Connected, third_party: Receiver
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"part"

    auth = KeyrackAuth(keyrack_async, connected.secret.workspace_id, connected.secret.id)
    async with httpx2.AsyncClient(auth=auth) as http:
        assert (await http.post(third_party.url, content=stream())).status_code == 401
        assert [message.body for message in third_party.messages] == [b"part"]
        assert (await http.post(third_party.url, json={"a": 1})).status_code == 401
    assert [message.body for message in third_party.messages[1:]] == [b'{"a":1}'] * 2
    # What the stream could not use was renewed for the next request all the same.
    assert third_party.messages[0].headers["authorization"] != third_party.messages[1].headers["authorization"]


async def test_a_token_that_lives_shorter_than_asked_for_is_used_while_it_lives(
    running: Running, simulator: RunningSimulator, keyrack: Keyrack
) -> None:
    connected = await connect(running.world, simulator, {"access_token_lifetime": 20}, token_expires_in=20)
    auth = KeyrackAuth(keyrack, connected.secret.workspace_id, connected.secret.id, min_validity=3600)
    assert await ask(auth, me(simulator)) == [200]


@pytest.mark.parametrize(
    ("kind", "credentials", "header", "value"),
    [
        ("basic", {"username": "ida", "password": "pa:ss"}, "authorization", "Basic aWRhOnBhOnNz"),
        ("api_key", {"headerName": "X-Api-Key", "headerValue": "k-1"}, "x-api-key", "k-1"),
        ("oauth2", {"access_token": "forever"}, "authorization", "Bearer forever"),
    ],
)
async def test_what_cannot_be_refreshed_is_sent_as_its_type_says(
    running: Running,
    proxy: Proxy,
    third_party: Receiver,
    kind: str,
    credentials: dict[str, str],
    header: str,
    value: str,
) -> None:
    world, acme = running.world, running.world.tenants["Acme"]
    place = await site(world, acme, f"place-{new_id()}")
    secret = await make(acme.integrator, acme.workspace_id, await add_client(world, acme, kind), credentials)
    step = await step_of(world, place.flow_id)
    proxy.forget()
    with Keyrack(proxy.base, step.name, step.api_key) as keyrack:
        auth = KeyrackAuth(keyrack, acme.workspace_id, secret["id"])
        assert await ask(auth, third_party.url) == [401]
    (message,) = third_party.messages
    assert message.headers[header] == value
    assert sent(proxy, "POST") == 1


async def test_an_async_keyrack_serves_async_clients_only(keyrack_async: AsyncKeyrack, connected: Connected) -> None:
    auth = KeyrackAuth(keyrack_async, connected.secret.workspace_id, connected.secret.id)
    with httpx2.Client(auth=auth) as http, pytest.raises(Misconfigured, match="give a Keyrack"):
        http.get("http://127.0.0.1:9/")
