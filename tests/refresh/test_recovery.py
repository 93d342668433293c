"""No rotated refresh token is lost by us: crashes, outages and stalls at every step (design, invariant 2)."""

import asyncio
import errno
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.errors import DatabaseUnavailable, NotFound, ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.ids import new_id
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.oauth.wire import RawResponse
from keyrack.service.secrets.refresh.abandonment import Abandonment
from keyrack.service.secrets.refresh.composition import RefreshParts
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import Attempt, AttemptKind, Attempts, open_attempts
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.process_id import is_dead, node_id
from keyrack.store.leases import Leases
from keyrack.store.schema import attempts
from keyrack.store.spool import Spool
from support.app import World
from support.grants import Connected, change, connect, is_renewed, mint, stored
from support.waits_and_faults import fail_once

STRICT = {"rotation": "strict"}
ELSEWHERE = "another-machine#17:1"


def dead_node() -> str:
    """The name of a process of this machine that is gone."""
    machine = node_id().rpartition("#")[0]
    gone = f"{machine}#{2**22 + 1}:1"
    assert is_dead(gone)
    return gone


async def open_now(world: World) -> list[Attempt]:
    async with world.store.installation() as unit:
        return list(await open_attempts(unit))


async def sent(world: World) -> None:
    """Wait until a request is written down as sent."""
    for _ in range(6000):
        if await open_now(world):
            return
        await asyncio.sleep(0.01)
    pytest.fail("nothing was sent in a minute")


async def crashed(world: World, connected: Connected, owner: str, answer: bytes | None = None) -> Attempt:
    """Leave behind what a process leaves that dies after sending: a lease and an open attempt."""
    secret, room = connected.secret, world.services.refreshing
    async with world.store.unit(secret.tenant_id, writes=True) as unit:
        lease = await Leases(unit).acquire(secret.id, -1)
        assert lease is not None
        attempt = Attempt(
            new_id(), secret.tenant_id, AttemptKind.refresh, secret.id, lease.fence, secret.generation, owner,
            datetime.now(UTC),
        )  # fmt: skip
        await Attempts(unit).begin(attempt)
        if owner != node_id():
            await unit.connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(owner=owner))
    if answer is not None:
        await room.journal._keep(attempt, RawResponse(200, {"content-type": "application/json"}, answer))
    return attempt


async def test_an_answer_that_the_database_does_not_take_waits_in_the_spool_and_is_brought_in(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    connected = await connect(world, simulator, STRICT)
    fail_once(monkeypatch, Journal, "_store_answer", DatabaseUnavailable)
    fail_once(monkeypatch, Finalizer, "settle", DatabaseUnavailable)
    with pytest.raises(DatabaseUnavailable):
        await world.services.refreshing.refresher.refresh(connected.secret)
    spool = Spool(world.settings.home / "spool")
    (waiting,) = spool.all()
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in spool.folder.iterdir())
    content = b"".join(path.read_bytes() for path in spool.folder.iterdir())
    assert b"access_token" not in content
    assert waiting.tenant_id == connected.secret.tenant_id
    assert await world.services.refreshing.recovery.tick() == 1
    fresh = await stored(world.store, connected.secret)
    assert fresh.generation == connected.secret.generation + 1
    assert is_renewed(simulator, connected.secret, fresh)
    assert (spool.all(), await open_now(world)) == ([], [])


async def test_with_neither_database_nor_disk_the_answer_stays_in_memory(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    fail_once(monkeypatch, Journal, "_store_answer", DatabaseUnavailable)
    fail_once(monkeypatch, Finalizer, "settle", DatabaseUnavailable)

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("keyrack.store.spool._write", full)
        with pytest.raises(DatabaseUnavailable):
            await keyrack.services.refreshing.refresher.refresh(connected.secret)
    assert Spool(keyrack.settings.home / "spool").all() == []
    assert await keyrack.services.refreshing.recovery.tick() == 1
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))


async def test_an_answer_that_landed_before_the_crash_is_interpreted_later(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    tokens = mint(simulator)
    answer = f'{{"access_token":"{tokens["access_token"]}","refresh_token":"{tokens["refresh_token"]}"}}'.encode()
    await crashed(keyrack_on_each, connected, dead_node(), answer)
    assert await keyrack_on_each.services.refreshing.recovery.tick() == 1
    fresh = await stored(keyrack_on_each.store, connected.secret)
    assert fresh.credentials["refresh_token"] == tokens["refresh_token"]
    assert simulator.state.calls(endpoint="token") == 0, "the provider is not asked again"


async def test_a_request_that_never_reached_the_provider_costs_nothing(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    await crashed(keyrack_on_each, connected, dead_node())
    assert await keyrack_on_each.services.refreshing.recovery.tick() == 1
    fresh = await stored(keyrack_on_each.store, connected.secret)
    assert (fresh.state, fresh.ambiguous_since) == (SecretState.ready, None)
    assert is_renewed(simulator, connected.secret, fresh)


async def test_an_answer_lost_with_its_process_is_flagged_with_its_time(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    token = simulator.state.book.refresh(connected.secret.credentials["refresh_token"])
    assert token is not None
    simulator.state.book.rotate(token)  # the provider did its part
    attempt = await crashed(keyrack_on_each, connected, dead_node())
    await keyrack_on_each.services.refreshing.recovery.tick()
    lost = await stored(keyrack_on_each.store, connected.secret)
    assert (lost.state, lost.error_code) == (SecretState.error, ErrorCode.refresh_interrupted)
    assert lost.error_at is not None
    assert abs((lost.error_at - attempt.started_at).total_seconds()) < 0.01
    assert simulator.state.calls(endpoint="token") == 1, "tried once, not again and again"
    assert await open_now(keyrack_on_each) == []


async def test_another_process_is_given_time_to_bring_its_answer_in(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    await crashed(keyrack, connected, ELSEWHERE)
    room = keyrack.services.refreshing
    assert await room.recovery.tick() == 0
    with pytest.raises(ProviderUnavailable):
        await room.refresher.refresh(connected.secret)
    assert simulator.state.calls(endpoint="token") == 0
    past = patience_of(room)
    past._since = past.monotonic() - past.grace
    assert await room.recovery.tick() == 0, "its process may be in the middle of it"
    with pytest.raises(ProviderUnavailable):
        await room.refresher.refresh(connected.secret)
    past._seen = {attempt: seen - past.grace for attempt, seen in past._seen.items()}
    assert await room.recovery.tick() == 1
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))


async def test_an_outage_of_the_database_starts_that_time_anew(keyrack: World, simulator: RunningSimulator) -> None:
    attempt = await crashed(keyrack, await connect(keyrack, simulator), ELSEWHERE)
    (left,) = await open_now(keyrack)
    assert left.id == attempt.id
    patience = Abandonment(30, iter([0.0, 31.0, 32.0, 60.0]).__next__)
    patience.database_is_up([left])
    assert patience.is_over(left)
    patience.database_is_down()
    patience.database_is_up([left])
    assert not patience.is_over(left)
    assert not Abandonment(30, lambda: 0.0).is_over(left), "what was never seen is not given up"


async def test_a_damaged_attempt_does_not_hold_up_the_others(keyrack: World, simulator: RunningSimulator) -> None:
    damaged = await connect(keyrack, simulator, STRICT)
    attempt = await crashed(keyrack, damaged, dead_node(), b"{}")
    async with keyrack.store.unit(attempt.tenant_id, writes=True) as unit:
        broken = update(attempts).where(attempts.c.id == attempt.id).values(sealed_answer=b"nothing that opens")
        await unit.connection.execute(broken)
    connected = await connect(keyrack, simulator, STRICT)
    await crashed(keyrack, connected, dead_node())
    assert await keyrack.services.refreshing.recovery.tick() == 1
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))


async def test_a_failure_that_was_forgiven_meanwhile_is_no_reason_to_wait(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    seen = await change(keyrack.store, connected.secret, failed_at=datetime.now(UTC), failure_count=1)
    await change(keyrack.store, connected.secret, failed_at=None, failure_count=0)
    fresh = await keyrack.services.refreshing.refresher.refresh(seen)
    assert is_renewed(simulator, connected.secret, fresh)


async def test_a_stalled_holder_whose_answer_comes_late_still_saves_the_grant(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder outlives its lease, is given up, the old token is refused, and then its answer arrives."""
    world, room = keyrack_on_each, keyrack_on_each.services.refreshing
    connected = await connect(world, simulator, {"rotation": "one_time"})
    original = Journal._keep
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def stalled(self: Journal, attempt: Attempt, answer: RawResponse, about: Mapping[str, str]) -> None:
        arrived.set()
        await go_on.wait()
        await original(self, attempt, answer, about)

    monkeypatch.setattr(Journal, "_keep", stalled)
    holder = asyncio.create_task(room.refresher.refresh(connected.secret))
    await arrived.wait()
    monkeypatch.setattr(Journal, "_keep", original)
    attempt = (await open_now(world))[0]
    async with world.store.unit(attempt.tenant_id, writes=True) as unit:  # somebody takes over and gives it up
        lease = await Leases(unit).acquire(attempt.subject_id, 60_000)
        assert lease is not None
    settling = room.refresher._finalizer
    await settling.give_up(lease, connected.client, attempt)
    with pytest.raises(ProviderError):
        await settling.settle(lease, connected.client, attempt, refused(), datetime.now(UTC))
    lost = await stored(world.store, connected.secret)
    assert lost.error_code is ErrorCode.refresh_interrupted
    go_on.set()
    with pytest.raises(ProviderUnavailable):
        await holder  # the fence refused its write
    assert (await stored(world.store, connected.secret)).error_code is ErrorCode.refresh_interrupted
    assert await room.recovery.tick() == 1
    saved = await stored(world.store, connected.secret)
    assert (saved.state, saved.error_code) == (SecretState.ready, None)
    assert is_renewed(simulator, connected.secret, saved)


async def test_tokens_that_a_person_sets_win_over_a_running_refresh(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:  # contract 15.2
    world, room = keyrack_on_each, keyrack_on_each.services.refreshing
    connected = await connect(world, simulator, STRICT | {"latency_after": 200})
    running = asyncio.create_task(room.refresher.refresh(connected.secret))
    await sent(world)
    others = mint(simulator)
    current = await stored(world.store, connected.secret)
    async with world.store.unit(current.tenant_id, writes=True) as unit:
        new = replace(current, credentials=current.credentials | others, generation=current.generation + 1)
        await AuthSecrets(unit).replace(new, refresh_token_replaced=True)
    with pytest.raises(ProviderUnavailable):
        await running
    await room.recovery.tick()
    after = await stored(world.store, connected.secret)
    assert after.credentials["refresh_token"] == others["refresh_token"]
    assert await open_now(world) == []


async def test_a_secret_deleted_during_its_refresh_leaves_nothing_open(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, STRICT | {"latency_after": 100})
    room = keyrack.services.refreshing
    running = asyncio.create_task(room.refresher.refresh(connected.secret))
    await sent(keyrack)
    async with keyrack.store.unit(connected.secret.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).remove(connected.secret.id)
    with pytest.raises(NotFound):
        await running
    await room.recovery.tick()
    assert await open_now(keyrack) == []


async def test_a_cancelled_refresh_keeps_the_answer(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    fail_once(monkeypatch, Journal, "_store_answer", asyncio.CancelledError)
    with pytest.raises(asyncio.CancelledError):
        await keyrack.services.refreshing.refresher.refresh(connected.secret)
    await keyrack.services.refreshing.recovery.tick()
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))


async def test_within_the_providers_grace_a_lost_answer_is_asked_for_soon(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, STRICT | {"rotation_grace": 30_000}, refresh_token_grace=30)
    simulator.state.enqueue(Queued("token", 2, {"hang_up": "after"}))
    with pytest.raises(ProviderUnavailable):
        await keyrack.services.refreshing.refresher.refresh(connected.secret)
    waiting = await stored(keyrack.store, connected.secret)
    assert waiting.retry_at is not None
    assert waiting.failed_at is not None
    assert (waiting.retry_at - waiting.failed_at).total_seconds() <= 1
    later = await change(keyrack.store, waiting, retry_at=None)
    fresh: AuthSecret = await keyrack.services.refreshing.refresher.refresh(later)
    assert is_renewed(simulator, connected.secret, fresh)


def refused() -> ProviderError:
    return ProviderError("refused", ProviderFailure(error="invalid_grant", status=400))


def patience_of(room: RefreshParts) -> Any:
    return room.recovery._abandonment
