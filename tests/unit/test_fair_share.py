"""Places are divided so that one tenant never takes them all (invariant 7)."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.fair_share import FairSlots, Places


def fill(places: Places, tenant_id: str, *, slow: bool = False) -> int:
    """Take as many as a tenant may; return how many it holds."""
    taken = 0
    while places.take(tenant_id, slow=slow):
        taken += 1
    return taken


@pytest.mark.parametrize(("most", "shares"), [(64, [48, 12, 3, 1, 0]), (20, [15, 4, 1, 0]), (2, [2, 0]), (1, [1, 0])])
def test_each_tenant_leaves_something_for_the_next(most: int, shares: list[int]) -> None:
    places = Places(most)
    assert [fill(places, f"tenant-{number}") for number in range(len(shares))] == shares
    assert places.free == 0


def test_what_failed_lately_gets_a_quarter_whoever_it_belongs_to() -> None:
    places = Places(64)
    assert sum(fill(places, f"tenant-{number}", slow=True) for number in range(20)) == 16
    assert places.slow_lane_full
    assert fill(places, "well") == 36, "three quarters of what the slow lane leaves"
    places.give_back("tenant-0", slow=True)
    assert not places.slow_lane_full


def test_the_slow_lane_is_divided_too() -> None:
    places = Places(64)
    assert [fill(places, f"tenant-{number}", slow=True) for number in range(4)] == [12, 3, 1, 0]
    assert places.slow_full == {"tenant-0", "tenant-1", "tenant-2"}
    places.give_back("tenant-0", slow=True)
    assert not places.take("tenant-0", slow=True), "what one gave back is another's turn"
    assert places.take("tenant-3", slow=True)


def test_full_are_those_who_may_take_no_more() -> None:
    places = Places(8)
    fill(places, "a")
    places.take("b")
    assert places.full == {"a"}
    planned = places.copy()
    assert planned.take("b")
    assert planned.full == {"a", "b"}
    assert (planned.free, places.free) == (0, 1), "planning takes nothing"
    places.give_back("a")
    assert places.full == frozenset()


@given(
    st.integers(1, 80),
    st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef"), st.booleans()), max_size=300),
)
def test_the_account_is_always_right(most: int, acts: list[tuple[bool, str, bool]]) -> None:
    places, held = Places(most), Counter[tuple[str, bool]]()
    for takes, tenant_id, slow in acts:
        if takes:
            held[tenant_id, slow] += places.take(tenant_id, slow=slow)
        elif held[tenant_id, slow]:
            places.give_back(tenant_id, slow=slow)
            held[tenant_id, slow] -= 1
        assert places.free == most - held.total() >= 0
    newcomer = places.may_take("newcomer")
    assert newcomer == (places.free > 0)


async def test_a_free_place_goes_to_the_waiting_tenant_with_fewest() -> None:
    slots, order, release = FairSlots(4), list[str](), asyncio.Event()

    async def call(tenant_id: str, until: asyncio.Event) -> None:
        async with slots.place(tenant_id):
            order.append(tenant_id)
            await until.wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(call("many", release))
        await asyncio.sleep(0)
        assert order == ["many"] * 3, "the last place is somebody else's"
        others = asyncio.Event()
        group.create_task(call("other", others))
        group.create_task(call("third", others))
        await asyncio.sleep(0)
        assert order[3:] == ["other"]
        others.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert order[3:] == ["other", "third"], "though many waited before it"
        release.set()
    assert Counter(order) == {"many": 6, "other": 1, "third": 1}
    assert slots.idle


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    slots, entered = FairSlots(1), list[str]()

    async def call(tenant_id: str) -> None:
        async with slots.place(tenant_id):
            entered.append(tenant_id)

    async with asyncio.timeout(60):
        async with slots.place("a"):
            waiting = [asyncio.create_task(call(name)) for name in ("b", "c", "d")]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.gather(waiting[0], return_exceptions=True)
        waiting[1].cancel()  # whose turn has come, but which has not run yet
        await asyncio.gather(*waiting, return_exceptions=True)
    assert entered == ["d"]
    assert slots.idle


async def test_a_turn_that_comes_to_one_who_has_just_left_goes_to_the_next() -> None:
    slots, entered = FairSlots(1), list[str]()

    async def call(tenant_id: str) -> None:
        async with slots.place(tenant_id):
            entered.append(tenant_id)

    async with asyncio.timeout(60):
        async with slots.place("a"):
            waiting = [asyncio.create_task(call(name)) for name in ("b", "c")]
            await asyncio.sleep(0)
            waiting[0].cancel()  # it has not run since when the place comes
        await asyncio.gather(*waiting, return_exceptions=True)
    assert entered == ["c"]
    assert slots.idle
