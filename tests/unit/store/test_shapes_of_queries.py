"""What queries of the store's core say: who is locked out, what is left unread, in which order parts are merged."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Dialect, bindparam, column, select
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.fair_share import Places
from keyrack.store.core import claims, large_columns, statements
from keyrack.store.core.claims import chosen_fairly, may_take, unlocked_due
from keyrack.store.core.large_columns import ALONG_BYTES, BATCH_BYTES, in_batches, read_along, size_at_most
from keyrack.store.core.paging import _counted, _merged, search_key
from keyrack.store.core.unit import changing, deleting, referring
from keyrack.store.schema import auth_secrets, flows, teams, workspaces

POSTGRESQL, SQLITE = postgresql.dialect(), sqlite.dialect()  # type: ignore[no-untyped-call]
KEYS = select(workspaces.c.id)
SLOW = auth_secrets.c.id == "slow"


def sql(query: Any, dialect: Dialect = POSTGRESQL) -> str:
    return " ".join(str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).split())


def test_each_kind_of_lock_keeps_out_whom_it_must() -> None:
    assert sql(changing(KEYS)).endswith(" FOR NO KEY UPDATE")
    assert sql(deleting(KEYS)).endswith(" FOR UPDATE")
    assert sql(referring(KEYS, workspaces)).endswith(" FOR KEY SHARE OF workspaces")
    for locked in (changing(KEYS), deleting(KEYS), referring(KEYS, workspaces)):
        assert sql(locked, SQLITE) == sql(KEYS, SQLITE)


def test_what_is_due_is_taken_the_longest_due_first_and_what_is_locked_is_passed_over() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    said = sql(unlocked_due(select(auth_secrets.c.id), auth_secrets, now, 7))
    assert "auth_secrets.due_at <= 1767312000000 " in said
    assert said.endswith("ORDER BY auth_secrets.due_at LIMIT 7 FOR UPDATE OF auth_secrets SKIP LOCKED")


def conditions(places: Places) -> list[str]:
    return [sql(each) for each in may_take(places, auth_secrets.c.tenant_id, SLOW)]


def test_what_could_get_no_place_is_not_asked_for() -> None:
    places = Places(64)
    assert conditions(places) == []
    while places.take("a"):
        pass
    assert conditions(places) == ["(auth_secrets.tenant_id NOT IN ('a'))"]
    while places.take("b"):
        pass
    assert conditions(places) == ["(auth_secrets.tenant_id NOT IN ('a', 'b'))"]


def test_what_failed_lately_is_not_asked_for_where_its_lane_is_full() -> None:
    places = Places(64)
    while places.take("a", slow=True):
        pass
    assert conditions(places) == ["auth_secrets.id != 'slow' OR (auth_secrets.tenant_id NOT IN ('a'))"]
    for tenant in "bcdefgh":
        while places.take(tenant, slow=True):
            pass
    assert places.slow_lane_full
    assert conditions(places) == ["auth_secrets.id != 'slow'"]


async def chosen(windows: list[int], most: int, room: int) -> tuple[int, int]:
    """Return how many rows were chosen of windows of these sizes, and how many windows were read."""
    places, read = Places(most), 0

    async def window() -> Sequence[Any]:
        nonlocal read
        read += 1
        return list(range(windows[read - 1]))

    def takes(_row: Any) -> bool:
        nonlocal room
        room -= 1
        if room >= 0:
            places.hold("a")
        return room >= 0

    return len(await chosen_fairly(window, takes, places)), read


async def test_windows_are_read_as_long_as_they_are_full_and_there_are_places() -> None:
    full = claims.WINDOW
    assert full == 200
    assert await chosen([full, full, 3], 1000, 1000) == (2 * full + 3, 3)
    assert await chosen([full - 1, full], 1000, 1000) == (full - 1, 1)
    assert await chosen([full, full], full, full) == (full, 1)
    assert await chosen([full] * 9, 10_000, 5) == (5, 5)


def test_a_page_reads_along_what_is_small_beside_the_others() -> None:
    said = [sql(each, SQLITE) for each in read_along(10, flows.c.graph, column("x"))]
    share = ALONG_BYTES // 10
    size = "coalesce(length(CAST(flows.graph AS BLOB)), 0) + coalesce(length(CAST(x AS BLOB)), 0)"
    assert said == [
        f"CASE WHEN ({size} <= {share}) THEN flows.graph END",
        f"CASE WHEN ({size} <= {share}) THEN x END",
        f"CASE WHEN ({size} > {share}) THEN {size} ELSE 0 END",
    ]
    assert [each.key for each in read_along(10, flows.c.graph)] == ["graph", "left_out"]
    for limit in (None, 1000, 5000):
        assert f"> {ALONG_BYTES // 1000})" in sql(read_along(limit, flows.c.graph)[-1], SQLITE)


def test_postgresql_tells_the_size_of_what_it_compressed_without_reading_much() -> None:
    assert sql(size_at_most(teams.c.sealed_docker_registry)) == "octet_length(teams.sealed_docker_registry)"
    whole = "pg_column_size(jsonb_path_query_first(flows.graph, '$'))"
    assert sql(size_at_most(flows.c.graph)) == (
        "(CASE WHEN pg_column_compression(flows.graph) IS NULL THEN pg_column_size(flows.graph)"
        f" WHEN pg_column_size(flows.graph) <= 65536 THEN {whole} ELSE pg_column_size(flows.graph) * 255 END)"
    )


async def batched(sizes: Mapping[str, int], gone: str = "") -> tuple[list[Any], list[list[str]]]:
    asked = list[list[str]]()

    async def read(some: Sequence[str]) -> Mapping[str, str]:
        asked.append(list(some))
        return {name: f"whole {name}" for name in some if name not in gone}

    found = [each async for each in in_batches(list(sizes), sizes.__getitem__, str, read, str.lower)]
    return found, asked


async def test_what_was_left_out_is_read_in_batches_and_all_stays_in_order() -> None:
    assert await batched({"a": 0, "A": 5, "b": 0, "C": 5, "c": BATCH_BYTES - 5, "d": 1}) == (
        ["a", "whole A", "b", "whole C", "whole c", "whole d"],
        [["A"], ["C", "c"], ["d"]],
    )
    assert await batched({"A": 1, "a": 1, "B": 1}, gone="aB") == (["whole A"], [["A", "a"], ["B"]])
    assert (await batched({"C": 5, "c": BATCH_BYTES - 5}))[1] == [["C", "c"]], "as much as goes"
    assert (await batched({"C": 6, "c": BATCH_BYTES - 5}))[1] == [["C"], ["c"]]
    assert (await batched({"a": 0}))[1] == []
    assert await batched({}) == ([], [])
    assert large_columns._MOST_ROWS == 1000


async def test_all_are_of_one_owner_unless_it_is_said_who_owns_them() -> None:
    asked = list[int]()

    async def read(some: Sequence[int]) -> Mapping[str, int]:
        asked.append(len(some))
        return {str(each): each for each in some}

    assert [each async for each in in_batches(range(3), lambda _: 1, str, read)] == [0, 1, 2]
    assert asked == [3]


def test_parts_of_a_list_say_their_order_and_are_counted_one_by_one() -> None:
    other = select(flows.c.id)
    inner = [f"SELECT {name}.id AS id FROM {name} ORDER BY {name}.id" for name in ("workspaces", "flows")]
    merged = sql(_merged([KEYS, other]))
    assert all(part in merged for part in inner)
    assert "UNION ALL" in merged
    assert merged.endswith("ORDER BY anon_1.id")
    counted = sql(_counted([KEYS, other]))
    assert all(part in counted for part in inner)
    assert counted.count("count(*)") == 2
    assert " + " in counted


def test_a_compiled_query_reads_a_drivers_row_as_sqlalchemy_would() -> None:
    query = select(auth_secrets.c.id, auth_secrets.c.expires_at, flows.c.graph).where(
        auth_secrets.c.id == bindparam("b"), flows.c.id == bindparam("a")
    )
    made = statements.SQLITE.compile(query)
    assert made.parameters == ("b", "a")
    assert made.text.count("?") == 2
    row = made.read(["i", 1767323045000, '{"nodes": []}'])
    assert (row.id, row.expires_at, row.graph) == ("i", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), {"nodes": []})
    named = statements.POSTGRESQL.compile(select(auth_secrets.c.id))
    assert named.parameters == ()
    assert named.read(["i"]) == ("i",)
    with pytest.raises(ValueError, match="Python keyword"):
        statements.SQLITE.compile(select(auth_secrets.c.id.label("class")))


def test_texts_are_searched_without_case_and_in_one_form() -> None:
    assert search_key("STRASSE") == search_key("Straße") == "strasse"
    assert search_key("E\u0301") == search_key("é") == "é"
    assert search_key("\u0345") == search_key("\u03b9")
    assert search_key("a") != search_key("b")
