"""Nobody renews an imported grant before its cutover, and everybody does after it (decision 52)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from keyrack.errors import StateConflict
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.cutover import Cutover
from keyrack.service.importers.other_systems.json_objects import Found
from keyrack.service.importers.other_systems.undoing import Undoing
from keyrack.service.importers.platform.exporting import Exporter
from keyrack.service.importers.platform.importing import Importer
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.awaiting_cutover import AwaitingCutover
from keyrack.store.leases import Leases, claim_due
from keyrack.store.queue_stats import queue_stats
from keyrack.store.refresh_queue import RefreshQueueRows
from support.app import World, error_of
from support.bringing import Elsewhere, bring, cut_over, file_of, secret_of, wanted
from support.grants import mint, stored
from support.platform import Silent

PAST = datetime(2020, 1, 1, tzinfo=UTC)


def refreshes(simulator: RunningSimulator) -> int:
    return simulator.state.calls(endpoint="token", grant_type="refresh_token")


def path_of(world: World, secret: AuthSecret) -> str:
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{secret.id}"


async def in_the_background(world: World) -> int:
    """Let the background do what is due; return how much that was."""
    refresher = world.services.refreshing.refresher
    claimed = await refresher.claim(Places(10))
    await asyncio.gather(*(refresher.refresh_due(each) for each in claimed))
    return len(claimed)


async def let_time_pass(world: World) -> None:
    """Make everything due, whatever it waits for."""
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(text("UPDATE auth_secrets SET due_at = 1 WHERE refreshable"))


async def test_neither_background_nor_readers_renew_before_the_cutover_and_both_do_after_it(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world, admin = keyrack_on_each, keyrack_on_each.tenants["Acme"].admin
    found = await bring(world, Elsewhere(simulator), file_of(tmp_path))
    secret = await secret_of(world, found, "c-0")
    await let_time_pass(world)
    assert await in_the_background(world) == 0
    read = (await admin.get(path_of(world, secret))).json()["data"]["attributes"]
    assert (read["state"], read["error_code"]) == ("error", "awaiting_cutover")
    assert "next_refresh_at" not in read
    assert read["credentials"]["access_token"] == secret.credentials["access_token"]
    assert error_of(await admin.get(f"{path_of(world, secret)}?min_validity=60"))[:2] == (409, "token_not_valid")
    assert error_of(await admin.post(f"{path_of(world, secret)}/refresh"))[:2] == (409, "state_conflict")
    refresher = world.services.refreshing.refresher
    with pytest.raises(StateConflict):
        await refresher.refresh(secret)
    refresher.refresh_behind(secret)
    async with world.store.unit(secret.tenant_id, writes=True) as unit:
        assert await Leases(unit).acquire(secret.id, 1000) is None
    async with world.store.installation() as unit:
        assert (await queue_stats(unit)).due == 0
        assert await RefreshQueueRows(unit).due(limit=9, offset=0) == []
    assert refreshes(simulator) == 0
    assert await cut_over(world, found.batch) == 3
    fresh = await world.services.refreshing.fresh.before_read(await stored(world.store, secret), None)
    assert fresh.credentials["access_token"] != secret.credentials["access_token"]
    await let_time_pass(world)
    assert await in_the_background(world) == 3
    assert refreshes(simulator) == 4
    async with world.store.unit(secret.tenant_id) as unit:
        (told,) = await AuditLog(unit).newest({"action": "import.cutover"}, None, limit=9)
    assert found.batch is not None
    assert (told.target_type, told.target_id) == ("import-batch", found.batch.id)


async def test_a_valid_token_is_answered_and_what_is_overdue_is_spread_after_the_cutover(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world, admin = keyrack_on_each, keyrack_on_each.tenants["Acme"].admin
    found = await bring(world, Elsewhere(simulator, expired=False), file_of(tmp_path))
    secret = await secret_of(world, found, "c-1")
    read = (await admin.get(f"{path_of(world, secret)}?min_validity=60")).json()["data"]["attributes"]
    assert read["state"] == "ready"
    await let_time_pass(world)
    await cut_over(world, found.batch)
    due = [(await secret_of(world, found, f"c-{n}")).due_at for n in range(3)]
    now = datetime.now(UTC)
    assert all(each is not None and each > now - timedelta(minutes=1) for each in due)
    assert len(set(due)) == 3


async def test_what_is_brought_again_after_the_cutover_is_refused(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world, system = keyrack_on_each, Elsewhere(simulator)
    found = await bring(world, system, file_of(tmp_path))
    await cut_over(world, found.batch)
    before = await secret_of(world, found, "c-0")
    with pytest.raises(StateConflict, match="cut over"):
        await bring(world, system, file_of(tmp_path))
    system.tokens["c-0"], system.told_at = {"access_token": "a", "refresh_token": "r"}, datetime.now(UTC)
    system.tokens["c-9"] = mint(simulator)
    other = replace(wanted(world), batch_name="later")
    again = await bring(world, system, file_of(tmp_path, ("c-0", "c-9")), other)
    assert again.fates == {"auth-client sim": "unchanged", "auth-secret c-0": "left_out", "auth-secret c-9": "made"}
    assert "cut over" in again.of("c-0").why
    assert (await stored(world.store, before)).credentials == before.credentials
    assert (await secret_of(world, again, "c-9")).cutover_batch_id is not None


async def test_one_client_or_everything_can_be_cut_over(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world = keyrack_on_each
    cutover = Cutover(world.store, world.store.clock)
    found = await bring(world, Elsewhere(simulator), file_of(tmp_path))
    theirs = await bring(world, Elsewhere(simulator), file_of(tmp_path), wanted(world, "Globex"))
    assert [(each.waiting.grants, each.waiting.expired) for each in await cutover.status()] == [(3, 3), (3, 3)]
    client = found.of("sim").resource_id
    assert client is not None
    assert sum([number async for number in cutover.of_client(client)]) == 3
    ours, other = await cutover.status()
    assert (ours.batch.cut_over_at, ours.waiting.grants) == (None, 0)
    assert other.waiting.grants == 3
    again = await bring(world, Elsewhere(simulator), file_of(tmp_path))
    assert "cut over" in again.of("c-0").why
    assert sum([number async for number in cutover.of_everything()]) == 3
    assert all(each.batch.cut_over_at is not None for each in await cutover.status())
    assert (await secret_of(world, theirs, "c-0", "Globex")).cutover_batch_id is None


async def test_a_grant_that_is_deleted_at_that_moment_ends_no_cutover_early(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives fewer rows than a limit allows where somebody else changes one of them just then."""
    world = keyrack_on_each
    monkeypatch.setattr("keyrack.service.importers.cutover.AT_ONCE", 2)
    found = await bring(world, Elsewhere(simulator), file_of(tmp_path))
    original = AwaitingCutover.of_batch
    steps: list[int] = []

    async def one_less(self: AwaitingCutover, batch_id: str, after: str, limit: int) -> Any:
        some = await original(self, batch_id, after, limit if steps else limit - 1)
        steps.append(len(some))
        return some

    monkeypatch.setattr(AwaitingCutover, "of_batch", one_less)
    assert await cut_over(world, found.batch) == 3
    assert steps == [1, 2, 0]


async def test_a_new_consent_makes_a_grant_keyracks_own_and_deleting_one_revokes_nothing(
    keyrack: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    acme = keyrack.tenants["Acme"]
    found = await bring(keyrack, Elsewhere(simulator), file_of(tmp_path))
    secret = await secret_of(keyrack, found, "c-0")
    gone = await acme.admin.delete(path_of(keyrack, await secret_of(keyrack, found, "c-1")))
    assert gone.status_code == 204
    assert simulator.state.calls(endpoint="revoke") == 0
    async with keyrack.store.unit(acme.id) as unit:
        (told,) = await AuditLog(unit).newest({"action": "secret.revoke"}, None, limit=9)
    assert told.outcome == "failed"  # the token still works, as it must
    fresh = replace(await stored(keyrack.store, secret), credentials=mint(simulator), cutover_batch_id=None)
    assert fresh.may_be_renewed


class Slow(Elsewhere):
    """Stops before one of its grants until it may go on."""

    def __init__(self, simulator: RunningSimulator) -> None:
        super().__init__(simulator)
        self.reached: list[str] = []

    def grants(self, found: Found) -> Any:
        self.reached.append(str(found.value["name"]))
        yield from super().grants(found)


async def test_a_cutover_in_the_middle_of_an_import_stops_it_and_leaves_no_grant_that_nobody_renews(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    monkeypatch.setattr("keyrack.service.importers.other_systems.bringing.AT_ONCE", 1)
    first = await bring(world, Elsewhere(simulator), file_of(tmp_path, ("c-0",)))
    assert first.batch is not None
    batch, system = first.batch, Slow(simulator)

    class CutsOver(Slow):
        def grants(self, found: Found) -> Any:
            for each in super().grants(found):
                if found.value["name"] == "c-2":
                    task = asyncio.ensure_future(cut_over(world, batch))
                    tasks.append(task)
                yield each

    tasks: list[asyncio.Future[int]] = []
    system = CutsOver(simulator)
    try:
        await bring(world, system, file_of(tmp_path))
    except StateConflict as refused:
        assert "cut over" in str(refused)  # noqa: PT017 - which of both wins is open
    await asyncio.gather(*tasks)
    await cut_over(world, batch)
    async with world.store.unit(batch.tenant_id, writes=True) as unit:
        assert await AwaitingCutover(unit).of_batch(batch.id, "", 10) == {}
    with pytest.raises(StateConflict):
        await bring(world, Elsewhere(simulator), file_of(tmp_path))


async def test_an_import_while_grants_are_refreshed_touches_none_of_them(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world, system = keyrack_on_each, Elsewhere(simulator)
    found = await bring(world, system, file_of(tmp_path))
    client = found.of("sim").resource_id
    assert client is not None
    await anext(Cutover(world.store, world.store.clock).of_client(client))
    await let_time_pass(world)
    simulator.state.set_defaults({"latency": 50})
    given = dict(system.tokens)
    system.tokens["c-0"], system.told_at = {"access_token": "a", "refresh_token": "r"}, datetime.now(UTC)
    renewed, again = await asyncio.gather(in_the_background(world), bring(world, system, file_of(tmp_path)))
    assert renewed == 3
    assert {each.outcome.value for each in again.results if each.kind.value == "auth-secret"} == {"left_out"}
    for n in range(3):
        secret = await secret_of(world, found, f"c-{n}")
        assert secret.refreshed_at is not None
        assert secret.credentials["access_token"] not in {"a", given[f"c-{n}"]["access_token"]}


async def plan(world: World, statement: str) -> str:
    """Return how a database finds something."""
    async with world.store.installation() as unit:
        if unit.connection.dialect.name == "postgresql":
            await unit.connection.execute(text("SET enable_seqscan = off"))
            rows = await unit.connection.execute(text(f"EXPLAIN {statement}"))
        else:
            rows = await unit.connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))
        return "\n".join(str(row[-1]) for row in rows.all())


async def test_what_awaits_its_cutover_is_in_no_index_that_the_background_reads(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world = keyrack_on_each
    await bring(world, Elsewhere(simulator), file_of(tmp_path))
    await let_time_pass(world)
    where = "due_at IS NOT NULL AND cutover_batch_id IS NULL AND due_at <= 5"
    assert "auth_secrets_due_at_idx" in await plan(world, f"SELECT id FROM auth_secrets WHERE {where} ORDER BY due_at")
    async with world.store.installation() as unit:
        if unit.connection.dialect.name == "postgresql":
            query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'auth_secrets_due_at_idx'"
        else:
            query = "SELECT sql FROM sqlite_master WHERE name = 'auth_secrets_due_at_idx'"
        (made,) = (await unit.connection.execute(text(query))).one()
    assert "cutover_batch_id IS NULL" in made
    async with world.store.installation(writes=True) as unit:
        assert await claim_due(unit, datetime.now(UTC), Places(10), 1000) == []


async def test_a_grant_that_awaits_its_cutover_does_so_after_a_move(
    keyrack: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    found = await bring(keyrack, Elsewhere(simulator), file_of(tmp_path))
    secret = await secret_of(keyrack, found, "c-0")
    parts: list[bytes] = []

    async def write(part: bytes) -> None:
        parts.append(part)

    await Exporter(keyrack.store).run(write, [secret.tenant_id], Silent(), secrets=True)
    importer = Importer(keyrack.store, CredentialRules(allow_insecure=True), Schedule())
    again = await importer.run(lambda: BytesIO(b"".join(parts)), Silent())
    assert (list(again.problems), again.counts["auth_secrets"]["unchanged"]) == ([], 3)
    async with keyrack.store.unit(secret.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).remove(secret.id)
    await importer.run(lambda: BytesIO(b"".join(parts)), Silent())
    moved = await stored(keyrack.store, secret)
    assert moved.cutover_batch_id is not None
    platform = [each for each in await Cutover(keyrack.store, keyrack.store.clock).status() if each.waiting.grants == 1]
    assert [each.batch.source for each in platform] == ["platform"]
    with pytest.raises(StateConflict, match="cannot be taken back"):
        await Undoing(keyrack.store).run(platform[0].batch.id)
    assert platform[0] in await Cutover(keyrack.store, keyrack.store.clock).status(), "it still can be cut over"
    assert await cut_over(keyrack, platform[0].batch) == 1
