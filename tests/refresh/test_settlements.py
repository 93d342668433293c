"""Outcomes of a tenant's refreshes that end together are written together, and none of them at another's cost."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from keyrack.errors import DatabaseUnavailable, ProviderUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.settlements import Settlements
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.outbox import Outbox
from keyrack.store.schema import attempts, auth_secrets, events
from support.app import World
from support.grants import connect, is_renewed, stored
from support.waits_and_faults import until

SECRETS = 6


class Held:
    """Keeps the first transaction of outcomes waiting until the others have gathered; knows how many went together."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.go_on = asyncio.Event()
        write = Settlements._write_batch

        async def counted(settlements: Settlements, tenant_id: str, batch: Sequence[Any]) -> None:
            self.batches.append(len(batch))
            if len(self.batches) == 1:
                await self.go_on.wait()
            await write(settlements, tenant_id, batch)

        patch.setattr(Settlements, "_write_batch", counted)

    @property
    def rest(self) -> int:
        """How many wait behind the first transaction, which may have more than one outcome."""
        return SECRETS - self.batches[0]


async def count(world: World, query: Any) -> int:
    async with world.store.installation() as unit:
        return int((await unit.connection.execute(query)).scalar_one())


async def answered(world: World) -> int:
    """How many answers are in the journal."""
    return await count(world, select(func.count()).select_from(attempts).where(attempts.c.sealed_answer.is_not(None)))


async def gathered(
    world: World, simulator: RunningSimulator, held: Held
) -> tuple[list[AuthSecret], "list[asyncio.Task[AuthSecret]]"]:
    """Refresh several secrets at once; return them and their refreshes when all answers are there, and none written."""
    secrets = [(await connect(world, simulator)).secret for _ in range(SECRETS)]
    refresher = world.services.refreshing.refresher
    running = [asyncio.create_task(refresher.refresh(secret)) for secret in secrets]
    await until(lambda: sum(held.batches) + sum(map(len, waiting_in(world).values())) == SECRETS)
    assert len(held.batches) == 1
    assert held.rest >= 3, "the first were too many for the others to show anything"
    assert await answered(world) == SECRETS
    return secrets, running


def waiting_in(world: World) -> dict[str, Any]:
    return world.services.refreshing.refresher._finalizer._settlements._waiting


async def test_what_ends_while_another_is_written_goes_together(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, held = keyrack_on_each, Held(monkeypatch)
    secrets, running = await gathered(world, simulator, held)
    rest = held.rest
    held.go_on.set()
    fresh = await asyncio.gather(*running)
    assert held.batches[1:] == [rest]
    for before, after in zip(secrets, fresh, strict=True):
        assert is_renewed(simulator, before, after)
        assert (await stored(world.store, before)).credentials == after.credentials
    assert await count(world, select(func.count()).select_from(attempts)) == 0
    told = select(func.count(events.c.data["secret_id"].as_string().distinct()))
    assert await count(world, told.where(events.c.type == "secret.refreshed")) == SECRETS


@pytest.mark.parametrize("fault", ["another process has the lease", "its ciphertext is damaged"])
async def test_one_that_cannot_be_written_costs_itself_only(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world, held = keyrack_on_each, Held(monkeypatch)
    secrets, running = await gathered(world, simulator, held)
    change: dict[str, Any] = {"fence": auth_secrets.c.fence + 1}
    if "damaged" in fault:
        change = {"sealed_credentials": b"damaged"}
    (waiting,) = waiting_in(world).values()
    chosen = waiting[1][0].lease.secret_id
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(update(auth_secrets).where(auth_secrets.c.id == chosen).values(**change))
    held.go_on.set()
    came = await asyncio.gather(*running, return_exceptions=True)
    failed = [before.id for before, after in zip(secrets, came, strict=True) if isinstance(after, Exception)]
    assert failed == [chosen]
    for before, after in zip(secrets, came, strict=True):
        if isinstance(after, AuthSecret):
            assert is_renewed(simulator, before, after)
    assert await answered(world) == 1, "its answer stays in the journal"


async def test_where_the_transaction_fails_each_is_written_alone(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, held = keyrack_on_each, Held(monkeypatch)
    secrets, running = await gathered(world, simulator, held)
    add_all = Outbox.add_all

    async def failing(outbox: Outbox, happened: Any) -> None:
        if len(happened) > 1:
            raise RuntimeError("an injected fault")
        await add_all(outbox, happened)

    monkeypatch.setattr(Outbox, "add_all", failing)
    first, rest = held.batches[0], held.rest
    held.go_on.set()
    fresh = await asyncio.gather(*running)
    assert sorted(held.batches) == sorted([first, *[1] * (first if first > 1 else 0), rest, *[1] * rest])
    assert all(is_renewed(simulator, before, after) for before, after in zip(secrets, fresh, strict=True))
    assert await count(world, select(func.count()).select_from(attempts)) == 0


async def test_when_the_database_goes_all_hear_of_it_and_their_answers_stay(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, held = keyrack_on_each, Held(monkeypatch)
    _, running = await gathered(world, simulator, held)

    async def gone(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(Outbox, "add_all", gone)
    held.go_on.set()
    came = await asyncio.gather(*running, return_exceptions=True)
    assert [type(each) for each in came] == [DatabaseUnavailable] * SECRETS
    assert len(held.batches) == 2, "a database that is gone is not asked for each"
    assert await answered(world) == SECRETS


async def test_whoever_goes_away_does_not_stop_what_is_being_written(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, held = keyrack_on_each, Held(monkeypatch)
    secrets, running = await gathered(world, simulator, held)
    for each in world.services.refreshing.refresher._running.values():
        each.task.cancel()
    held.go_on.set()
    came = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError | ProviderUnavailable) for each in came)
    await until(lambda: not waiting_in(world))
    assert await count(world, select(func.count()).select_from(attempts)) == 0
    for before in secrets:
        assert is_renewed(simulator, before, await stored(world.store, before))
