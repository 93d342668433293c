"""Coalesced reads: one query for many, and nobody pays for another's haste, patience or absence."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from keyrack.store.core.coalesce import Coalescer, ReadFailed


class Database:
    """Answers after `gate` opens, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.under_way = self.most_under_way = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def fetch(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(list(keys))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        finally:
            self.under_way -= 1
        if self.fails:
            raise ConnectionError
        return {key: f"value {key}" for key in keys if key >= 0}


async def all_settled() -> None:
    """Let everybody go on until they wait for the database; a pause would do so only on a machine that is quick."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
async def database() -> Database:
    return Database()


async def test_readers_of_one_moment_share_one_query(database: Database) -> None:
    reads = Coalescer(database.fetch)
    found = await asyncio.gather(*(reads.get(key) for key in (1, 2, 1, 3, -1)))
    assert found == ["value 1", "value 2", "value 1", "value 3", None]
    assert database.asked == [[1, 2, 3, -1]]


async def test_a_single_reader_departs_in_the_same_turn_of_the_loop(database: Database) -> None:
    reads = Coalescer(database.fetch)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while not database.asked:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await reads.get(1) == "value 1"
    await counting
    assert turns <= 3  # the reader's own, the departure's, the query's


async def test_who_comes_while_queries_are_under_way_goes_with_the_next_one(database: Database) -> None:
    reads = Coalescer(database.fetch, flights=2)
    database.gate.clear()
    first = [asyncio.create_task(reads.get(1))]
    await all_settled()
    first.append(asyncio.create_task(reads.get(2)))
    await all_settled()
    # the same key again: it may have changed since the first query departed
    later = [asyncio.create_task(reads.get(key)) for key in (1, 3, 4)]
    await all_settled()
    assert database.asked == [[1], [2]]
    database.gate.set()
    await asyncio.gather(*first, *later)
    assert database.asked == [[1], [2], [1, 3, 4]]
    assert database.most_under_way == 2


async def test_batches_are_bounded(database: Database) -> None:
    reads = Coalescer(database.fetch, flights=2, batch=10)
    assert len(await asyncio.gather(*(reads.get(key) for key in range(95)))) == 95
    assert max(len(keys) for keys in database.asked) == 10
    assert len(database.asked) == 10
    assert database.most_under_way == 2


async def test_one_who_gives_up_takes_nobody_along(database: Database) -> None:
    reads = Coalescer(database.fetch, flights=1)
    database.gate.clear()
    under_way = [asyncio.create_task(reads.get(1)) for _ in range(2)]
    await all_settled()
    waiting = [asyncio.create_task(reads.get(key)) for key in (2, 2, 3)]
    await all_settled()
    for task in (under_way[0], waiting[0], waiting[2]):
        task.cancel()
    database.gate.set()
    found = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert [type(value).__name__ for value in found] == [
        "CancelledError",
        "str",
        "CancelledError",
        "str",
        "CancelledError",
    ]
    assert database.asked == [[1], [2]], "nobody was left who wanted 3"


async def test_a_failed_query_fails_its_readers_and_not_the_next_ones(database: Database) -> None:
    reads = Coalescer(database.fetch)
    database.fails = True
    failed = await asyncio.gather(*(reads.get(key) for key in (1, 2)), return_exceptions=True)
    assert [type(error) for error in failed] == [ReadFailed, ReadFailed]
    assert failed[0] is not failed[1]
    database.fails = False
    assert await reads.get(1) == "value 1"


async def test_a_query_that_takes_too_long_is_given_up(database: Database) -> None:
    reads = Coalescer(database.fetch, flights=1, seconds=0.5)
    database.gate.clear()
    with pytest.raises(ReadFailed):
        await asyncio.wait_for(reads.get(1), 60)
    assert database.under_way == 0
    database.gate.set()
    assert await reads.get(2) == "value 2"


async def test_closing_fails_who_still_waits(database: Database) -> None:
    reads = Coalescer(database.fetch, flights=1)
    database.gate.clear()
    tasks = [asyncio.create_task(reads.get(1))]
    await all_settled()
    tasks.append(asyncio.create_task(reads.get(2)))
    await all_settled()
    await reads.close()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert [type(error) for error in found] == [ReadFailed, ReadFailed]
    assert database.under_way == 0
