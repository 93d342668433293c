"""Access that is taken away between the look-up of a caller and its being remembered is not remembered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from keyrack.crypto.secret import Secret
from keyrack.service.identity.authentication import key_hash
from keyrack.service.identity.principal_cache import PrincipalCache
from keyrack.store import schema as t
from keyrack.store.access_changes import key_subject
from support.app import Caller, World
from support.grants import add_auth_client, add_secret
from support.hot import Pair, hot
from support.waits_and_faults import until


@pytest.fixture
async def pair(keyrack_on_each: World) -> AsyncIterator[Pair]:
    async with hot(keyrack_on_each) as made:
        yield made


def its_key(who: Caller) -> Any:
    return delete(t.api_keys).where(t.api_keys.c.user_id == who.id)


def its_membership(who: Caller) -> Any:
    return delete(t.workspace_members).where(t.workspace_members.c.user_id == who.id)


def its_roles(who: Caller) -> Any:
    return update(t.workspace_members).where(t.workspace_members.c.user_id == who.id).values(roles=["nothing"])


class Held:
    """Holds the next look-up of the cache when it has its result, until `go_on` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, look_up: str) -> None:
        self.done, self.go_on = asyncio.Event(), asyncio.Event()
        real: Callable[..., Awaitable[Any]] = getattr(PrincipalCache, look_up)

        async def held(*given: Any) -> Any:
            found = await real(*given)
            self.done.set()
            await self.go_on.wait()
            return found

        monkeypatch.setattr(PrincipalCache, look_up, held)


@pytest.mark.parametrize(
    ("look_up", "taken", "status"),
    [("_owner", its_key, 401), ("_tenant", its_membership, 403), ("_tenant", its_roles, 403)],
)
async def test_what_was_looked_up_before_it_was_taken_away_lets_nobody_in_afterwards(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, look_up: str, taken: Callable[[Caller], Any], status: int
) -> None:
    world, acme = pair.world, pair.world.tenants["Acme"]
    who = acme.integrator
    client = await add_auth_client(world.store, acme.id, "http://127.0.0.1:8/token")
    secret = await add_secret(world.store, acme, client, {"access_token": "at", "refresh_token": "rt"})
    path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"
    changes = world.services.fast_reads.callers._changes
    subjects = (acme.id, key_subject(key_hash(Secret(who.api_key))))

    held = Held(monkeypatch, look_up)
    reading = asyncio.create_task(pair.seen(who, path))
    await asyncio.wait_for(held.done.wait(), 60)
    before = changes.mark()
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(taken(who))
    await until(lambda: not changes.holds(before, *subjects))  # this process knows by now
    assert changes.holds(changes.mark(), *subjects), "what is looked up from here on could be remembered"
    held.go_on.set()
    assert (await reading).status == status, "what was looked up before is not acted on either"
    seen = await pair.seen(who, path)
    assert (seen.status, b"access_token" in seen.body) == (status, False)
