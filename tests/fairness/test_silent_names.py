"""A tenant whose names no name server answers for delays nobody else's calls (invariant 7)."""

import asyncio
from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult

from keyrack.provider.name_lookup import BoundedLookups
from keyrack.provider.shares import Shares, calling_for
from support.app import BASE, World, error_of, settings_for, world
from support.grants import add_auth_client, add_secret
from support.loopback_peers import NameServer
from support.raw_provider import FakeResolver, RawProvider, connect_raw, json_answer
from support.waits_and_faults import until

SHARE = 16  # look-ups of one tenant under way
PATIENT = {"allow_insecure_providers": "true", "public_url": BASE, "dns_timeout": "60", "provider_timeout": "60"}


async def silent_secrets(keyrack: World, count: int) -> list[str]:
    """Give Globex expired secrets whose token endpoints are at names that nobody answers for; return their paths."""
    globex = keyrack.tenants["Globex"]
    paths = []
    for number in range(count):
        client = await add_auth_client(keyrack.store, globex.id, f"http://idp{number}.silent.example/token")
        tokens = {"access_token": "at", "refresh_token": "rt"}
        secret = await add_secret(keyrack.store, globex, client, tokens, age=4000)
        paths.append(f"/v2/workspaces/{globex.workspace_id}/secrets/{secret.id}/refresh")
    return paths


async def test_twenty_silent_names_of_one_tenant_leave_another_s_names_alone(
    tmp_path: Path, name_server: NameServer, raw_provider: RawProvider
) -> None:
    name_server.knows["idp.victim.example"] = "127.0.0.1"
    raw_provider.answers = [json_answer('{"access_token": "new", "refresh_token": "rt-2", "expires_in": 3600}')]
    raw_provider.url = raw_provider.url.replace("127.0.0.1", "idp.victim.example")
    async with world(settings_for(tmp_path, dns_servers=name_server.address, **PATIENT)) as keyrack:
        acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
        victims = [await connect_raw(keyrack, raw_provider) for _ in range(5)]
        attacks = [asyncio.create_task(globex.admin.post(path)) for path in await silent_secrets(keyrack, SHARE + 4)]
        await until(lambda: len(name_server.asked) == SHARE)

        got = []
        for victim in victims:
            path = f"/v2/workspaces/{acme.workspace_id}/secrets/{victim.secret.id}/refresh"
            answer = await acme.admin.post(path)
            got.append((answer.status_code, answer.json()["data"]["attributes"]["credentials"]["access_token"]))
        assert got == [(200, "new")] * 5
        # The attack was under way all the while, and what is beyond the tenant's share had not begun.
        assert not any(attack.done() for attack in attacks)
        silent = {name for name in name_server.asked if name.endswith("silent.example")}
        assert len(silent) == SHARE

        name_server.deny()
        answers = await asyncio.gather(*attacks)
        assert {error_of(answer)[:2] for answer in answers} == {(400, "provider_unavailable")}
        assert len({name for name in name_server.asked if name.endswith("silent.example")}) == SHARE + 4


async def test_a_name_that_failed_is_not_asked_for_again_at_once_and_one_that_resolved_neither() -> None:
    time = [0.0]
    inner = FakeResolver(OSError("no"), ["8.8.8.8"])
    lookups = BoundedLookups(inner, now=lambda: time[0])
    for _ in range(3):
        with pytest.raises(OSError, match="does not resolve"):
            await lookups.resolve("idp.example", 443)
    assert inner.lookups == 1
    time[0] = 6
    found = [await lookups.resolve("IDP.example", port) for port in (443, 8443)]
    assert [(each[0]["host"], each[0]["port"], each[0]["hostname"]) for each in found] == [
        ("8.8.8.8", 443, "IDP.example"),
        ("8.8.8.8", 8443, "IDP.example"),
    ]
    assert inner.lookups == 2
    time[0] = 17
    await lookups.resolve("idp.example", 443)
    assert inner.lookups == 3


class Held(FakeResolver):
    """Answers once it is told to."""

    def __init__(self) -> None:
        super().__init__(["8.8.8.8"])
        self.names: list[str] = []
        self.go = asyncio.Event()

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.names.append(host)
        await self.go.wait()
        return await super().resolve(host, port, family)


async def test_look_ups_of_one_name_are_one_and_nobody_waits_in_another_tenant_s_line() -> None:
    inner = Held()
    lookups = BoundedLookups(inner, each=2)

    async def look_up(tenant: str, name: str) -> None:
        calling_for.set(tenant)
        await lookups.resolve(name)

    calls = [asyncio.create_task(look_up("attacker", name)) for name in ("a.example", "b.example", "c.example")]
    await until(lambda: len(inner.names) == 2)
    # The name that waits in the attacker's line is looked up at once for somebody else, who may also go away.
    gone, *rest = (asyncio.create_task(look_up("victim", name)) for name in ("c.example", "c.example", "a.example"))
    await until(lambda: len(inner.names) == 3)
    gone.cancel()
    inner.go.set()
    await asyncio.gather(*calls, *rest)
    assert inner.names == ["a.example", "b.example", "c.example"]
    await lookups.close()


async def test_only_so_many_names_are_remembered() -> None:
    inner = FakeResolver(OSError("no"))
    lookups = BoundedLookups(inner)
    for number in range(1200):
        with pytest.raises(OSError, match="does not resolve"):
            await lookups.resolve(f"n{number}.example")
    assert len(lookups._remembered) == 1024
    assert not lookups._running
    assert not lookups._shares._gates


async def test_a_look_up_takes_no_longer_than_its_limit_and_one_who_stops_waiting_keeps_no_place() -> None:
    lookups = BoundedLookups(Held(), limit=0.05)
    with pytest.raises(OSError, match="does not resolve"):
        await lookups.resolve("idp.example")
    shares = Shares(1)
    await shares.take("a")
    waiting = asyncio.create_task(shares.take("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    shares.give_back("a")
    await asyncio.wait_for(shares.take("a"), 60)
