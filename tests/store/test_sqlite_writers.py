"""Units that write to SQLite: one after the other, committed together where others wait, each undone for itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from keyrack.errors import DatabaseUnavailable
from keyrack.store.core import sqlite_writer
from keyrack.store.core.connection import Connection, UnitMode
from keyrack.store.core.database_errors import ConstraintViolated, outages_named
from keyrack.store.core.sqlite import SqliteDatabase
from keyrack.store.core.sqlite_writer import Threads
from support.waits_and_faults import until


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "x.db", 3)
    async with made.unit(UnitMode.write, "") as connection:
        await connection.execute(text("CREATE TABLE t (x INTEGER UNIQUE)"))
    yield made
    await made.close()


def transactions(database: SqliteDatabase) -> list[str]:
    """Return a list which every statement from now on that begins or ends a transaction is added to."""
    seen = list[str]()

    def note(said: str) -> None:
        if said.split(maxsplit=1)[0] in ("BEGIN", "COMMIT", "ROLLBACK") and "SAVEPOINT" not in said:
            seen.append(said.split(maxsplit=1)[0])

    database._writer.raw.set_trace_callback(note)
    return seen


def stored(database: SqliteDatabase) -> list[int]:
    """Return what another process would see."""
    with closing(sqlite3.connect(database._path)) as other:
        return [row[0] for row in other.execute("SELECT x FROM t ORDER BY x")]


async def add(connection: Connection, number: int) -> None:
    await connection.execute(text(f"INSERT INTO t VALUES ({number})"))


async def write(database: SqliteDatabase, number: int, holder: str = "a") -> None:
    async with database.unit(UnitMode.write, holder) as connection:
        await add(connection, number)


async def all_wait(database: SqliteDatabase, many: int) -> None:
    await until(lambda: sum(len(queue) for queue in database._writer._turns._waiting.values()) == many)


async def test_units_that_wait_for_each_other_are_committed_together_and_end_when_that_is_done(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_GROUP_SECONDS", 60)
    seen, ends = transactions(database), list[list[int]]()

    async def one(number: int) -> None:
        await write(database, number)
        ends.append(stored(database))

    async with database.unit(UnitMode.write, "a") as first:
        waiting = [asyncio.create_task(one(number)) for number in range(1, 6)]
        await all_wait(database, 5)
        assert database.connections() == (1, 3), "who waits has no connection"
        await add(first, 0)
    await asyncio.gather(*waiting)
    assert seen == ["BEGIN", "COMMIT"]
    assert ends == [[0, 1, 2, 3, 4, 5]] * 5
    assert database.connections() == (0, 3)


async def test_a_group_is_committed_when_it_is_full_whoever_waits(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_GROUP_UNITS", 2)
    seen = transactions(database)
    await asyncio.gather(*(write(database, number) for number in range(5)))
    assert seen == ["BEGIN", "COMMIT"] * 3
    monkeypatch.setattr(sqlite_writer, "_GROUP_UNITS", 64)
    monkeypatch.setattr(sqlite_writer, "_GROUP_SECONDS", 0)
    seen.clear()
    await asyncio.gather(*(write(database, number) for number in range(5, 8)))
    assert seen == ["BEGIN", "COMMIT"] * 3


async def test_a_unit_that_fails_undoes_only_itself(database: SqliteDatabase) -> None:
    async def fails() -> None:
        async with database.unit(UnitMode.write, "a") as connection:
            await add(connection, 7)
            raise LookupError

    async with database.unit(UnitMode.write, "a") as first:
        others = [asyncio.create_task(each) for each in (write(database, 1), fails(), write(database, 2))]
        await all_wait(database, 3)
        await add(first, 0)
    assert [type(each) for each in await asyncio.gather(*others, return_exceptions=True)] == [
        type(None), LookupError, type(None),
    ]  # fmt: skip
    assert stored(database) == [0, 1, 2]
    with pytest.raises(LookupError):
        await fails()
    assert stored(database) == [0, 1, 2]


async def test_part_of_a_unit_can_be_undone(database: SqliteDatabase) -> None:
    async def part(connection: Connection) -> None:
        async with connection.savepoint():
            await add(connection, 1)
            raise LookupError

    async with database.unit(UnitMode.write, "a") as connection:
        await add(connection, 0)
        with pytest.raises(LookupError):
            await part(connection)
        async with connection.savepoint():
            await add(connection, 2)
    assert stored(database) == [0, 2]


async def test_who_is_cancelled_when_the_turn_comes_leaves_nothing_open(database: SqliteDatabase) -> None:
    async with database.unit(UnitMode.write, "a") as first:
        late = asyncio.create_task(write(database, 1))
        await all_wait(database, 1)
        await add(first, 0)
        # the turn is given to `late` when this block ends, in which it is cancelled before it runs
        asyncio.get_running_loop().call_soon(late.cancel)
    with pytest.raises(asyncio.CancelledError):
        await late
    assert stored(database) == [0]
    await write(database, 2)
    assert stored(database) == [0, 2]
    assert database.connections() == (0, 3)


@pytest.mark.parametrize("moment", range(12))
async def test_whoever_is_cancelled_at_whatever_moment_the_others_are_committed(
    database: SqliteDatabase, moment: int
) -> None:
    tasks = [asyncio.create_task(write(database, number)) for number in range(6)]
    for _ in range(moment):
        await asyncio.sleep(0)
    for each in tasks[1::2]:
        each.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    done = [number for number, each in enumerate(results) if each is None]
    assert set(done) >= {0, 2, 4}
    async with asyncio.timeout(10):
        await write(database, 99)
    assert set(stored(database)) >= {*done, 99}
    assert database.connections() == (0, 3)


async def test_a_commit_that_fails_is_told_to_all_it_was_for(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Threads.run

    async def full(threads: Threads, call: object, *given: object) -> object:
        if given == ("COMMIT",):
            raise sqlite3.OperationalError("disk I/O error")
        return await run(threads, call, *given)  # type: ignore[arg-type] # whatever it is

    with monkeypatch.context() as patch:
        patch.setattr(Threads, "run", full)
        results = await asyncio.gather(*(write(database, number) for number in range(3)), return_exceptions=True)
    assert [str(each) for each in results] == ["the database file cannot be used: disk I/O error"] * 3
    assert {type(each) for each in results} == {DatabaseUnavailable}
    await write(database, 9)
    assert stored(database) == [9]


async def test_what_sqlite_gave_up_as_a_whole_is_told_to_all_that_were_in_it(database: SqliteDatabase) -> None:
    async def gives_up() -> None:
        async with database.unit(UnitMode.write, "a") as connection:
            await connection.execute(text("INSERT OR ROLLBACK INTO t VALUES (0)"))

    units = (write(database, 0), write(database, 1), gives_up(), write(database, 2))
    results = await asyncio.gather(*units, return_exceptions=True)
    assert [type(each) for each in results] == [
        DatabaseUnavailable, DatabaseUnavailable, ConstraintViolated, type(None),
    ]  # fmt: skip
    assert stored(database) == [2]


async def test_the_lock_of_another_process_is_waited_for_without_holding_up_others(database: SqliteDatabase) -> None:
    with closing(sqlite3.connect(database._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(write(database, 1))
        for _ in range(5):
            await asyncio.sleep(0.01)
            async with database.unit(UnitMode.read, "a") as reading:
                assert (await reading.execute(text("SELECT count(*) FROM t"))).scalar() == 0
        assert not waiting.done()
        other.execute("COMMIT")
        await waiting
    assert stored(database) == [1]


async def test_a_lock_that_another_process_keeps_is_an_outage(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_MS", 50)
    with closing(sqlite3.connect(database._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable), outages_named():
            await write(database, 1)
    await write(database, 2)
    assert stored(database) == [2]


async def test_a_snapshot_sees_one_moment_while_others_write(database: SqliteDatabase) -> None:
    async with database.unit(UnitMode.snapshot, "a") as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 0
        await write(database, 1)
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 0
    assert stored(database) == [1]
