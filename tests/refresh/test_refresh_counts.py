"""Refreshes counted by time, provider and result, by several processes together (decision 34)."""

import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from keyrack.errors import DatabaseUnavailable, ProviderError, ProviderUnavailable
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.operations import RefreshResult
from keyrack.service.clients.auth_client_profile import provider_origin
from keyrack.service.operator.refresh_history import Period
from keyrack.service.secrets.refresh.refresh_counter import OTHER, RefreshCounter
from keyrack.store.core.store import Store
from keyrack.store.refresh_counts import HOURS, MINUTES, RefreshCounts
from keyrack.wiring.storage import open_store
from support.app import World
from support.raw_provider import RawProvider, connect_raw, json_answer
from support.statements_seen import statements_seen

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPERATOR = Principal(PrincipalKind.service_account, "a" * 24, "ops", permissions=frozenset({"global.metrics.get"}))
TOKENS = json_answer('{"access_token":"at-2","refresh_token":"rt-2","token_type":"Bearer","expires_in":3600}')
ENDS = {
    RefreshResult.renewed: TOKENS,
    RefreshResult.reauthorization_required: json_answer('{"error":"invalid_grant"}', "400 Bad Request"),
    RefreshResult.client_rejected: json_answer('{"error":"invalid_client"}', "401 Unauthorized"),
    RefreshResult.refused: json_answer('{"error":"something_else"}', "400 Bad Request"),
    RefreshResult.unavailable: json_answer('{"error":"temporarily_unavailable"}', "503 Service Unavailable"),
}


async def counted(store: Store, span: int = MINUTES) -> dict[tuple[str, RefreshResult], int]:
    async with store.installation() as unit:
        rows = await RefreshCounts(unit).by_origin(span, LONG_AGO)
    return {(origin, result): number for origin, result, number in rows}


async def test_every_end_of_a_refresh_is_counted(keyrack_on_each: World, raw_provider: RawProvider) -> None:
    room, store, right = keyrack_on_each.services.refreshing, keyrack_on_each.store, {}
    for result, answer in ENDS.items():
        connected = await connect_raw(keyrack_on_each, raw_provider)
        raw_provider.answers = [answer]
        with suppress(ProviderError, ProviderUnavailable):
            await room.refresher.refresh(connected.secret)
        right[provider_origin(connected.client), result] = 1
    assert await counted(store) == {}, "no refresh has written anything more"
    await room.counter.flush()
    assert await counted(store) == right
    assert await counted(store, HOURS) == right
    with statements_seen(lambda *_: pytest.fail("nothing is left to write")):
        await room.counter.flush()


async def test_a_call_that_we_hold_back_is_no_fault_of_the_provider(keyrack: World, raw_provider: RawProvider) -> None:
    raw_provider.answers = [ENDS[RefreshResult.unavailable]]
    connected, room = await connect_raw(keyrack, raw_provider), keyrack.services.refreshing
    for _ in range(room.settings.limits.failures + 1):
        with suppress(ProviderUnavailable):
            await room.refresher.refresh_again(connected.secret, time.monotonic())
    await room.counter.flush()
    origin = provider_origin(connected.client)
    found = await counted(keyrack.store)
    assert found == {(origin, RefreshResult.unavailable): 10, (origin, RefreshResult.held_back): 1}


async def test_several_processes_add_to_the_same_counts(keyrack_on_each: World) -> None:
    moment = datetime(2026, 3, 1, 12, 4, 59, tzinfo=UTC)
    here, other = keyrack_on_each.store, open_store(keyrack_on_each.settings)
    try:
        counters = [RefreshCounter(store, lambda: moment) for store in (here, other)]
        for counter in counters:
            for _ in range(3):
                counter.count("https://a.example", RefreshResult.renewed)
            await counter.flush()
    finally:
        await other.close()
    async with here.installation() as unit:
        rows = RefreshCounts(unit)
        assert await rows.by_time(MINUTES, LONG_AGO) == [
            (datetime(2026, 3, 1, 12, 0, tzinfo=UTC), RefreshResult.renewed, 6)
        ]
        assert await rows.by_time(HOURS, LONG_AGO, "https://a.example") == [
            (datetime(2026, 3, 1, 12, 0, tzinfo=UTC), RefreshResult.renewed, 6)
        ]
        assert await rows.by_time(HOURS, LONG_AGO, "https://b.example") == []


class _Gone:
    """A store whose database cannot be reached."""

    def installation(self, *, writes: bool) -> None:
        del writes
        raise DatabaseUnavailable


async def test_what_could_not_be_written_is_written_later(keyrack: World) -> None:
    counter = RefreshCounter(_Gone(), lambda: datetime.now(UTC))  # type: ignore[arg-type] # as above
    counter.count("https://a.example", RefreshResult.renewed)
    with pytest.raises(DatabaseUnavailable):
        await counter.flush()
    counter.count("https://a.example", RefreshResult.renewed)
    counter._store = keyrack.store
    await counter.close()
    assert await counted(keyrack.store) == {("https://a.example", RefreshResult.renewed): 2}


async def test_however_many_providers_are_named_the_rows_are_few(keyrack: World) -> None:
    moment = [datetime(2026, 3, 1, 12, 0, tzinfo=UTC)]
    counter = RefreshCounter(keyrack.store, lambda: moment[0])
    for number in range(300):
        counter.count(f"https://p{number}.example", RefreshResult.renewed)
    await counter.flush()
    found = Counter(await counted(keyrack.store))
    assert len(found) == 51
    assert found[OTHER, RefreshResult.renewed] == 250
    moment[0] += timedelta(hours=1)
    counter.count("https://p299.example", RefreshResult.renewed)
    await counter.flush()
    assert ("https://p299.example", RefreshResult.renewed) in await counted(keyrack.store), "each hour begins anew"


@pytest.mark.parametrize(("period", "length", "spans"), [("hours", 300, 36), ("day", 3600, 24), ("month", 86400, 30)])
async def test_a_period_has_every_span_also_those_without_refreshes(
    keyrack_to_read: World, period: str, length: int, spans: int
) -> None:
    now = datetime.now(UTC)
    counter = RefreshCounter(keyrack_to_read.store, lambda: now)
    counter.count(f"https://{period}.example", RefreshResult.refused)
    await counter.flush()
    history = keyrack_to_read.services.operations.history
    found = await history.spans(OPERATOR, Period(period), f"https://{period}.example")
    assert [each.total for each in found] == [0] * (spans - 1) + [1]
    assert {each.seconds for each in found} == {length}
    assert found[-1].began_at <= now < found[-1].began_at + timedelta(seconds=length)
    assert found[-1].results == {RefreshResult.refused: 1}
    assert {(b.began_at - a.began_at).total_seconds() for a, b in pairwise(found)} == {length}


async def test_old_counts_are_forgotten(keyrack_on_each: World) -> None:
    for days in (1, 3, 40):
        past = datetime.now(UTC) - timedelta(days=days)
        counter = RefreshCounter(keyrack_on_each.store, lambda past=past: past)  # type: ignore[misc] # bound now
        counter.count(f"https://d{days}.example", RefreshResult.renewed)
        await counter.flush()
    await keyrack_on_each.services.retention.reap()
    assert {origin for origin, _ in await counted(keyrack_on_each.store)} == {"https://d1.example"}
    assert {origin for origin, _ in await counted(keyrack_on_each.store, HOURS)} == {
        "https://d1.example",
        "https://d3.example",
    }
