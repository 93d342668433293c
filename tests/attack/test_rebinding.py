"""A name server that answers a public address first and a private one then, or both: nothing here is reached (15.4)."""

import asyncio
from asyncio import selector_events
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from keyrack.errors import ProviderUnavailable
from keyrack.provider.client import ProviderClient
from keyrack.provider.egress_proxy import EgressProxy
from keyrack.provider.faults import Reason
from keyrack.provider.name_lookup import BoundedLookups, NameServers
from support.app import World, relationship, settings_for, world
from support.grants import add_auth_client, add_secret, stored
from support.raw_provider import LoopbackServers, token_request
from support.rebinding import RebindingNameServer, Records, Trap, rebinding_name_server, trap

PUBLIC, PUBLIC6 = "8.8.8.8", "2606:4700:4700::1111"
LOOP = Records(["127.0.0.1"])


@pytest.fixture
async def names() -> AsyncIterator[RebindingNameServer]:
    async with rebinding_name_server() as server:
        yield server


@pytest.fixture
async def caught() -> AsyncIterator[Trap]:
    async with trap() as made:
        yield made


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that somebody began to connect to; those outside of this machine are out of reach."""
    seen: list[str] = []
    real = selector_events.BaseSelectorEventLoop.sock_connect

    async def sock_connect(self: Any, sock: Any, address: Any) -> None:
        seen.append(address[0])
        if not address[0].startswith("127.") and address[0] != "::1":
            raise ConnectionRefusedError(111, "out of reach")
        await real(self, sock, address)

    monkeypatch.setattr(selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect)
    return seen


NAMES: dict[str, list[Records]] = {
    "private.example": [LOOP],
    "private6.example": [Records(["::1"])],
    "mixed.example": [Records([PUBLIC, "127.0.0.1"])],
    "mixed6.example": [Records([PUBLIC, "::1"])],
    "many.example": [Records([f"8.8.{n}.{n}" for n in range(1, 20)] + ["10.0.0.1"])],
    "first.example": [Records(["10.0.0.1", *[f"8.8.{n}.{n}" for n in range(1, 20)]])],
    "alias.example": [Records(["127.0.0.1"], ["a.example", "b.example", "localhost"])],
    "chain.example": [Records(["169.254.169.254"], [f"step{n}.example" for n in range(8)])],
    "mapped.example": [Records(["::ffff:127.0.0.1"])],
    "nat64.example": [Records(["64:ff9b::7f00:1"])],
    "sixtofour.example": [Records(["2002:7f00:1::"])],
    "zero.example": [Records(["0.0.0.0"])],
    "cgnat.example": [Records(["100.64.0.1"])],
}  # fmt: skip


def asking(names: RebindingNameServer, **more: Any) -> ProviderClient:
    return ProviderClient(resolver=BoundedLookups(NameServers((names.address,))), timeout=20, **more)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_with_a_private_address_is_not_called(
    names: RebindingNameServer, caught: Trap, tried: list[str], name: str
) -> None:
    names.names[name] = NAMES[name]
    async with asking(names) as client:
        for url in (f"https://{name}:{caught.port}/token", f"https://{name}.:{caught.port}/"):
            with pytest.raises(ProviderUnavailable) as refused:
                await client.send(token_request(url))
            assert refused.value.failure.exact_reason == Reason.FORBIDDEN_ADDRESS
            assert (await client.probe(url)).reason is Reason.FORBIDDEN_ADDRESS
    assert caught.reached == []
    assert tried == [], "not even the public ones among them"
    assert names.asked


@pytest.mark.parametrize(
    "answers",
    [
        [Records([PUBLIC]), LOOP],
        [Records([PUBLIC]), LOOP, Records([PUBLIC]), LOOP],
        [Records([PUBLIC], ["a.example"]), Records(["127.0.0.1"], ["a.example"])],
        [Records([PUBLIC, PUBLIC6]), Records(["::1", "127.0.0.1"])],
        [Records([PUBLIC], seconds=3600), Records(["169.254.169.254"])],
    ],
    ids=["public then private", "to and fro", "behind an alias", "both families", "a long time to live"],
)  # fmt: skip
async def test_an_answer_that_changes_reaches_nothing(
    names: RebindingNameServer, caught: Trap, tried: list[str], answers: list[Records]
) -> None:
    """Each call looks up anew, so that the second meets the second answer: what is judged is what is connected to."""
    names.names["rebind.example"] = answers
    url = f"https://rebind.example:{caught.port}/token"
    reasons = []
    for _ in answers:
        async with ProviderClient(resolver=NameServers((names.address,)), timeout=20) as client:
            with pytest.raises(ProviderUnavailable) as refused:
                await client.send(token_request(url))
            reasons.append(refused.value.failure.exact_reason)
    public = [bool(set(answer.addresses) & {PUBLIC, PUBLIC6}) for answer in answers]
    assert reasons == [Reason.CONNECT if each else Reason.FORBIDDEN_ADDRESS for each in public]
    assert set(tried) <= {PUBLIC, PUBLIC6}
    assert tried
    assert caught.reached == []


async def test_one_call_asks_once(names: RebindingNameServer, caught: Trap, tried: list[str]) -> None:
    names.names["once.example"] = [Records([PUBLIC]), LOOP]
    async with asking(names) as client:
        with pytest.raises(ProviderUnavailable):
            await client.send(token_request(f"https://once.example:{caught.port}/"))
    assert [kind for name, kind in names.asked if name == "once.example"].count(1) == 1
    assert tried == [PUBLIC]
    assert caught.reached == []


async def test_a_proxy_is_not_told_what_rebinds_to_here(
    names: RebindingNameServer, caught: Trap, tried: list[str]
) -> None:
    names.names["rebind.example"] = [LOOP]
    servers = LoopbackServers()
    try:
        port = await servers.answer(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        async with asking(names, proxy=EgressProxy("127.0.0.1", port)) as client:
            with pytest.raises(ProviderUnavailable) as refused:
                await client.send(token_request(f"https://rebind.example:{caught.port}/"))
        assert refused.value.failure.exact_reason == Reason.FORBIDDEN_ADDRESS
        assert (servers.connections, caught.reached, tried) == (0, [], [])
    finally:
        await servers.stop()


async def test_a_whole_installation_is_not_led_inside(
    tmp_path: Path, names: RebindingNameServer, caught: Trap, tried: list[str]
) -> None:
    """A refresh, a webhook, an MCP server and discovery, at names that are public when they are stored."""
    for name in ("idp", "hook", "mcp", "issuer"):
        names.names[f"{name}.rebind.example"] = [LOOP]
    async with world(settings_for(tmp_path, dns_servers=names.address)) as keyrack:
        statuses = await _everything(keyrack, caught.port)
    assert statuses == {"refresh": 400, "webhook": 201, "mcp": 400, "discovery": 400}
    asked = {name for name, _ in names.asked}
    assert {f"{name}.rebind.example" for name in ("idp", "hook", "mcp", "issuer")} <= asked
    assert (caught.reached, tried) == ([], [])


async def _everything(keyrack: World, port: int) -> dict[str, int]:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, f"https://idp.rebind.example:{port}/token")
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "a", "refresh_token": "r"}, age=7200)
    place = f"/v2/workspaces/{acme.workspace_id}"
    statuses = {"refresh": (await acme.admin.post(f"{place}/secrets/{secret.id}/refresh")).status_code}
    assert (await stored(keyrack.store, secret)).generation == secret.generation
    sent = {"data": {"type": "webhook", "attributes": {"url": f"https://hook.rebind.example:{port}/"}}}
    hook = await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks", sent)
    statuses["webhook"] = hook.status_code
    await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks/{hook.json()['data']['id']}/test")
    async with asyncio.timeout(60):
        while not await keyrack.services.deliverer.tick():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)
        await keyrack.services.deliverer.close()
    server = {"data": {"type": "mcp-server", "attributes": {"url": f"https://mcp.rebind.example:{port}/"}}}
    statuses["mcp"] = (await acme.admin.post(f"{place}/mcp-servers", server)).status_code
    credentials = {"issuer": f"https://issuer.rebind.example:{port}", "client_id": "a", "client_secret": "b"}
    attributes = {"name": "Found", "type": "oauth2", "credentials": credentials}
    component_id = await keyrack.add_component(acme, "found", None)
    relationships = {
        "components": {"data": [{"id": component_id, "type": "component"}]},
        "tenant": relationship("tenant", acme.id),
    }
    made = {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}
    statuses["discovery"] = (await acme.admin.post("/v2/auth-clients", made)).status_code
    return statuses
