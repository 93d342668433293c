"""The circuit is each tenant's own, and opens for all only on what several see; what is remembered is bounded."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from keyrack.errors import ProviderUnavailable
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
