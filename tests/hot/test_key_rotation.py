"""Several API keys of one user: each has its own life, and is told when it was last used (contract 0.2, issue 4.5)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack.service.identity.last_use import KeyUse
from keyrack.store import schema as t
from support.app import BASE, Caller, TenantInTest, World, settings_for, world
from support.grants import add_auth_client, add_secret
from support.hot import Pair, hot

KEYS = "/v2/users/me/api-keys"


async def secret_of(made: World, tenant: TenantInTest) -> str:
    client = await add_auth_client(made.store, tenant.id, "http://127.0.0.1:8/token")
    secret = await add_secret(made.store, tenant, client, {"access_token": "at", "refresh_token": "rt"})
    return f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"


async def new_key(made: World, who: Caller, **attributes: Any) -> tuple[str, Caller]:
    body = {"data": {"type": "api-key", "attributes": {"name": "another", **attributes}}}
    answer = await who.post(KEYS, body)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    assert data["attributes"]["last_used_at"] is None
    return data["id"], Caller(made.http, who.name, data["attributes"]["api_key"], who.id)


@pytest.fixture
async def pair(keyrack_on_each: World) -> AsyncIterator[Pair]:
    async with hot(keyrack_on_each) as made:
        yield made


async def test_changing_one_key_interrupts_no_request_with_another(pair: Pair) -> None:
    made, acme = pair.world, pair.world.tenants["Acme"]
    path, kept = await secret_of(made, acme), acme.integrator
    statuses: list[int] = []
    done = asyncio.Event()

    async def read_on(address: str) -> None:
        while not done.is_set():
            statuses.append((await kept.get(address)).status_code)
            await asyncio.sleep(0)  # what is answered at once lets nobody else run

    readers = [asyncio.create_task(read_on(address)) for address in (path, path, "/v2/users/me", KEYS)]
    for _ in range(5):
        key_id, other = await new_key(made, kept)
        assert (await other.get(path)).status_code == 200
        assert (await kept.delete(f"{KEYS}/{key_id}")).status_code == 204
        refused = await other.get("/v2/users/me")
        assert refused.status_code == 401, "the revoked one is gone at once"
    done.set()
    await asyncio.gather(*readers)
    assert len(statuses) >= len(readers)
    assert set(statuses) == {200}


async def test_a_key_may_revoke_itself_and_the_other_goes_on(pair: Pair) -> None:
    made, acme = pair.world, pair.world.tenants["Acme"]
    path = await secret_of(made, acme)
    key_id, other = await new_key(made, acme.integrator)
    for who in (acme.integrator, other):
        await pair.seen(who, path)
        assert not (await pair.seen(who, path)).by_framework
    assert (await other.delete(f"{KEYS}/{key_id}")).status_code == 204
    assert (await pair.seen(acme.integrator, path)).status == 200


async def test_a_key_ends_when_it_expires_also_where_it_is_remembered(
    tmp_path: Path, url_with_tenants: str | None
) -> None:
    ahead = timedelta()

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, now) as made, hot(made) as seen:
        acme = made.tenants["Acme"]
        path, ends = await secret_of(made, acme), datetime.now(UTC) + timedelta(minutes=10)
        _, other = await new_key(made, acme.integrator, expires_at=ends.isoformat())
        await seen.seen(other, path)
        assert (await seen.seen(other, path)).status == 200
        ahead = timedelta(minutes=10, seconds=1)
        assert (await seen.seen(other, path)).status == 401
        assert (await other.get("/v2/users/me")).status_code == 401
        assert (await acme.integrator.get("/v2/users/me")).status_code == 200


async def last_used(who: Caller) -> dict[str, str | None]:
    listed = (await who.get(KEYS)).json()["data"]
    return {key["id"]: key["attributes"]["last_used_at"] for key in listed}


async def test_last_use_is_told_once_it_is_written_down(pair: Pair) -> None:
    made, acme = pair.world, pair.world.tenants["Acme"]
    path, use = await secret_of(made, acme), made.services.key_use
    key_id, other = await new_key(made, acme.integrator)
    await use.flush()
    assert (await last_used(acme.integrator))[key_id] is None
    await pair.seen(other, path)
    assert not (await pair.seen(other, path)).by_framework, "also where it is answered in front"
    assert (await last_used(acme.integrator))[key_id] is None, "no request writes"
    before = datetime.now(UTC) - timedelta(seconds=60)
    assert await use.flush() == 2
    told = (await last_used(acme.integrator))[key_id]
    assert told is not None
    assert before <= datetime.fromisoformat(told) <= datetime.now(UTC)
    wrong = Caller(made.http, "nobody@acme.example", other.api_key)
    await use.flush()
    assert (await wrong.get("/v2/users/me")).status_code == 401
    assert await use.flush() == 0, "a refused name is no use of the key"


async def test_last_use_only_moves_forward(keyrack_on_each: World) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    async with keyrack_on_each.store.installation() as unit:
        hashed = (await unit.connection.execute(t.api_keys.select())).first()
    assert hashed is not None
    for age, expected in ((60, 60), (120, 60), (30, 30)):
        use = KeyUse(keyrack_on_each.store, lambda age=age: now - timedelta(seconds=age))  # type: ignore[misc]
        use.used(hashed.key_hash)
        use.used("f" * 64)  # one that is gone
        await use.flush()
        async with keyrack_on_each.store.installation() as unit:
            row = (await unit.connection.execute(t.api_keys.select().where(t.api_keys.c.id == hashed.id))).one()
        assert row.last_used_at == now - timedelta(seconds=expected)
