"""The circuit is each tenant's own, and opens for all only on what several see; what is remembered is bounded."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from keyrack.errors import ProviderUnavailable
from keyrack.fair_share import Places
from keyrack.service.secrets.refresh.provider_limiter import Circuit, ProviderLimiter, ProviderLimits

ORIGIN = "https://provider.example"


class Clock:
    """Seconds that go on when a test says so; a little with every look, so that no two moments are one."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> ProviderLimiter:
    return ProviderLimiter(ProviderLimits(failures=3, pause=5.0, longest_pause=60.0, wait=0.05), clock)


async def fail(limiter: ProviderLimiter, tenant_id: str, times: int = 3, origin: str = ORIGIN) -> None:
    for _ in range(times):
        async with limiter.admit(tenant_id, origin) as admission:
            admission.failed()


async def answer(limiter: ProviderLimiter, tenant_id: str, origin: str = ORIGIN) -> None:
    async with limiter.admit(tenant_id, origin) as admission:
        admission.answered()


async def refused(limiter: ProviderLimiter, tenant_id: str) -> str | None:
    """Return why a call is not let through; None if it is."""
    try:
        async with limiter.admit(tenant_id, ORIGIN):
            return None
    except ProviderUnavailable as error:
        meta = error.meta or {}
        return str(meta["reason"]) if meta["sent"] is False else "it was sent"


def may_take(limiter: ProviderLimiter) -> dict[str, int]:
    """Return how many of 64 places each of two tenants may take."""
    places = Places(64)
    limiter.limit_calls(places)
    return {tenant_id: sum(places.take(tenant_id) for _ in range(10)) for tenant_id in ("many", "few")}


async def test_a_tenant_has_a_number_of_calls_a_minute_and_another_its_own(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(tenant_calls=3, wait=0.05), clock)
    assert [await refused(limiter, "many") for _ in range(5)] == [None] * 3 + ["quota"] * 2
    assert may_take(limiter) == {"many": 0, "few": 3}
    assert [await refused(limiter, "few") for _ in range(3)] == [None] * 3
    clock.now += 20
    assert await refused(limiter, "many") is None, "a third of a minute, a third of the calls"
    clock.now += 60
    assert may_take(limiter) == {"many": 3, "few": 3}
    assert limiter._calls._buckets == {}, "what is full again is forgotten"


async def test_a_call_waits_for_its_turn_a_little(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(tenant_calls=60_000, wait=5.0), clock)
    limiter._calls._buckets["t"] = (0.5, clock.now)
    assert await refused(limiter, "t") is None


async def test_one_tenants_failures_close_the_provider_to_that_tenant_alone(limiter: ProviderLimiter) -> None:
    await fail(limiter, "attacker")
    assert await refused(limiter, "attacker") == "circuit_open"
    assert await refused(limiter, "victim") is None
    assert limiter.circuits()[ORIGIN][0] is Circuit.half_open


async def test_after_the_pause_one_probe_goes_through_at_a_time(limiter: ProviderLimiter, clock: Clock) -> None:
    await fail(limiter, "a")
    clock.now += 5
    async with limiter.admit("a", ORIGIN) as probe:
        assert await refused(limiter, "a") == "circuit_open"
        probe.failed()
    clock.now += 5
    assert await refused(limiter, "a") == "circuit_open", "the pause has doubled"
    clock.now += 5
    await answer(limiter, "a")
    assert await refused(limiter, "a") is None
    assert limiter.circuits() == {}


async def test_only_failures_in_a_row_count(limiter: ProviderLimiter) -> None:
    for _ in range(5):
        await fail(limiter, "a", 2)
        await answer(limiter, "a")
    await fail(limiter, "a", 2)
    assert await refused(limiter, "a") is None, "two since the last answer"
    await fail(limiter, "a", 1)
    assert await refused(limiter, "a") == "circuit_open", "a call without a verdict is neither"


async def test_each_failed_probe_doubles_the_pause_up_to_the_longest(limiter: ProviderLimiter, clock: Clock) -> None:
    await fail(limiter, "a")
    for pause in (5, 10, 20, 40, 60, 60):
        clock.now += pause - 0.5
        assert await refused(limiter, "a") == "circuit_open", f"not before {pause} s are over"
        clock.now += 0.5
        await fail(limiter, "a", 1)
    clock.now += 60
    await answer(limiter, "a")
    await fail(limiter, "a", 2)
    assert await refused(limiter, "a") is None, "it begins anew, with the failures that it takes"
    await fail(limiter, "a", 1)
    clock.now += 4.5
    assert await refused(limiter, "a") == "circuit_open"
    clock.now += 0.5
    assert await refused(limiter, "a") is None, "and with the first pause"


async def test_an_answer_to_a_call_from_before_opens_the_way_at_once(limiter: ProviderLimiter, clock: Clock) -> None:
    async with limiter.admit("a", ORIGIN) as slow:
        await fail(limiter, "a")
        assert await refused(limiter, "a") == "circuit_open"
        slow.answered()
        assert await refused(limiter, "a") is None
        await fail(limiter, "a")
    clock.now += 5
    assert await refused(limiter, "a") is None, "the pause is the first one again"


async def test_a_call_that_waited_while_the_circuit_opened_is_not_made(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(failures=3, wait=60), clock)
    async with AsyncExitStack() as held:
        calls = [await held.enter_async_context(limiter.admit("a", ORIGIN)) for _ in range(15)]
        waiting = asyncio.create_task(refused(limiter, "a"))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done(), "there is no place for it yet"
        for call in calls[:3]:
            call.failed()
    assert await asyncio.wait_for(waiting, 60) == "circuit_open"


async def test_a_pause_is_never_shorter_than_the_first_one(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(failures=1, pause=30.0, longest_pause=10.0, wait=0.05), clock)
    await fail(limiter, "a", 1)
    for _ in range(2):
        clock.now += 29.5
        assert await refused(limiter, "a") == "circuit_open"
        clock.now += 0.5
        await fail(limiter, "a", 1)


async def test_of_many_who_come_at_once_after_the_pause_exactly_one_goes_through(
    limiter: ProviderLimiter, clock: Clock
) -> None:
    await fail(limiter, "a")
    clock.now += 5
    through, release = [], asyncio.Event()

    async def call(number: int) -> str | None:
        try:
            async with limiter.admit("a", ORIGIN) as admission:
                through.append(number)
                await release.wait()
                admission.answered()
        except ProviderUnavailable as error:
            return str((error.meta or {})["reason"])
        return None

    calls = [asyncio.create_task(call(number)) for number in range(10)]
    await asyncio.wait(calls, timeout=0.2)
    assert len(through) == 1
    assert limiter.circuits()[ORIGIN] == (Circuit.half_open, 1)
    release.set()
    assert sorted(map(str, await asyncio.gather(*calls))) == ["None", *["circuit_open"] * 9]
    assert await refused(limiter, "a") is None


async def test_a_probe_that_ends_without_a_verdict_leaves_the_next_to_another(
    limiter: ProviderLimiter, clock: Clock
) -> None:
    await fail(limiter, "a")
    clock.now += 5
    for _ in range(3):
        assert await refused(limiter, "a") is None, "whoever probed has gone away"
    async with limiter.admit("a", ORIGIN):
        assert await refused(limiter, "a") == "circuit_open", "still one at a time"


async def test_no_more_calls_run_at_a_time_than_the_budget_whoever_makes_them(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(concurrency=4, wait=0.05), clock)
    async with AsyncExitStack() as held:
        first = await held.enter_async_context(AsyncExitStack())
        await first.enter_async_context(limiter.admit("0", ORIGIN))
        for number in (1, 2, 3):
            await held.enter_async_context(limiter.admit(str(number), ORIGIN))
        for number in (0, 1, 7):
            assert await refused(limiter, str(number)) == "busy"
        assert limiter.circuits()[ORIGIN] == (Circuit.closed, 4)
        async with limiter.admit("0", "https://other.example"):
            pass  # each origin has a budget of its own
        await first.aclose()
        assert await refused(limiter, "7") is None, "a place is free again"
    assert limiter.circuits() == {}


async def test_what_several_tenants_see_opens_it_for_all(limiter: ProviderLimiter) -> None:
    for name in ("a", "b"):
        await fail(limiter, name)
    assert limiter.circuits()[ORIGIN][0] is Circuit.half_open
    await fail(limiter, "c")
    assert limiter.circuits()[ORIGIN][0] is Circuit.open
    async with limiter.admit("d", ORIGIN) as probe:
        assert await refused(limiter, "d") == "busy", "one call at a time"
        probe.failed()
    assert await refused(limiter, "d") == "circuit_open", "one failure is enough"


async def test_in_doubt_a_tenants_calls_wait_for_each_other_and_are_not_refused(clock: Clock) -> None:
    limiter = ProviderLimiter(ProviderLimits(failures=3, wait=60), clock)
    for name in ("a", "b", "c"):
        await fail(limiter, name)
    running, most = 0, 0
    release = asyncio.Event()

    async def call(first: bool) -> None:
        nonlocal running, most
        async with limiter.admit("victim", ORIGIN) as admission:
            running += 1
            most = max(most, running)
            if first:
                await release.wait()
            running -= 1
            if first:
                admission.answered()

    async with asyncio.timeout(60):
        calls = [asyncio.create_task(call(number == 0)) for number in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (running, most) == (1, 1)
        release.set()
        await asyncio.gather(*calls)
    assert limiter.circuits()[ORIGIN][0] is Circuit.half_open, "the doubt is over"


async def test_the_first_good_answer_to_anybody_ends_the_doubt(limiter: ProviderLimiter) -> None:
    for name in ("a", "b", "c"):
        await fail(limiter, name)
    await answer(limiter, "d")
    assert limiter.circuits()[ORIGIN][0] is Circuit.half_open
    await fail(limiter, "e", 1)
    assert await refused(limiter, "e") is None
    assert await refused(limiter, "a") == "circuit_open", "its own circuit stays as it is"


async def test_attackers_never_bring_doubt_on_a_provider_that_answers_others(limiter: ProviderLimiter) -> None:
    for name in ("a", "b", "c", "d"):
        await answer(limiter, "victim")
        await fail(limiter, name)
        assert await refused(limiter, "victim") is None
    await answer(limiter, "victim")
    assert limiter.circuits()[ORIGIN][0] is Circuit.half_open


async def test_the_budget_leaves_places_for_others(limiter: ProviderLimiter) -> None:
    async with AsyncExitStack() as attack:
        for _ in range(15):
            await attack.enter_async_context(limiter.admit("attacker", ORIGIN))
        assert await refused(limiter, "attacker") == "busy"
        assert await refused(limiter, "victim") is None
        assert limiter.circuits()[ORIGIN] == (Circuit.closed, 15)
    assert limiter.circuits() == {}


async def test_what_is_remembered_of_one_tenant_is_bounded(limiter: ProviderLimiter) -> None:
    await fail(limiter, "victim", origin="https://victims.example")
    async with limiter.admit("attacker", "https://in-use.example") as admission:
        admission.failed()
        for number in range(1_000):
            await fail(limiter, "attacker", origin=f"https://{number}.example")
        known = limiter.circuits()
        assert len(known) <= 202
        assert known["https://in-use.example"][1] == 1
        assert "https://999.example" in known
        assert "https://0.example" not in known
    assert "https://victims.example" in limiter.circuits(), "others are not forgotten for it"


async def test_a_caller_that_goes_away_while_it_waits_leaves_nothing_behind(limiter: ProviderLimiter) -> None:
    async with AsyncExitStack() as held:
        for _ in range(15):
            await held.enter_async_context(limiter.admit("a", ORIGIN))
        task = asyncio.create_task(refused(limiter, "a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert limiter.circuits() == {}
