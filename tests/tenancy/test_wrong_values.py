"""What is said of any wrong member of any body: plain words, and JSON's names for its types (contract section 3)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from keyrack.validation.pointer import join
from support.tenancy.bodies import BODIES, body
from support.tenancy.stage import Stage
from support.tenancy.table import CALLERS, rows

ROUTES = [row for row in rows() if f"{row.method} {row.path.partition('?')[0]}" in BODIES]
WRONG_VALUES: tuple[Any, ...] = (5, True, None, [], {}, "", "canary-7b1f", [5], ["canary-7b1f"])
PYTHON = re.compile(r"`|\b(int|str|bool|float|dict|list|tuple|set|bytes|None|NoneType|True|False|Struct|regex)\b")
"""Words that only who knows Python, or the libraries, understands."""


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every member and item of a body, and to the body itself."""
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value[:1] if isinstance(value, list) else ())
    for name, child in children:
        yield from places(child, (*at, name))


def replaced(value: Any, way: tuple[str | int, ...], wrong: Any) -> Any:
    """Return a copy of a body with another value at a place; `KeyError` as the value takes the member away."""
    if not way:
        return wrong
    name, *rest = way
    copied: Any = list(value) if isinstance(value, list) else dict(value)
    if not rest and wrong is KeyError:
        del copied[name]
    else:
        copied[name] = replaced(value[name], tuple(rest), wrong)
    return copied


@pytest.mark.parametrize("row", ROUTES, ids=[f"{row.method} {row.path.partition('?')[0]}" for row in ROUTES])
async def test_no_answer_speaks_of_python_and_each_points_to_the_place(stage: Stage, row: Any) -> None:
    stage.snapshot.restore()
    caller = stage.callers[next(column for column in CALLERS if row.cells[column] == "y")]
    ids, told = stage.mine.ids, 0
    right = body(row.method, row.path, ids)
    for way in places(right):
        for wrong in (*WRONG_VALUES, *((KeyError,) if way and isinstance(way[-1], str) else ())):
            sent = replaced(right, way, wrong)
            answer = await caller.call(row.method, row.path.format_map(ids), sent)
            assert answer.status_code < 500, (way, wrong, answer.text)
            if answer.is_success:
                stage.snapshot.restore()
                continue
            for error in answer.json()["errors"]:
                assert not PYTHON.search(error["detail"]), (way, wrong, error)
                assert "canary-7b1f" not in error["detail"], (way, wrong, error)
                if error["code"] == "validation_error":
                    pointer, where = error["source"]["pointer"], join("", *way)
                    assert pointer.startswith(where) or where.startswith(pointer) or "/data/" in pointer, error
                told += 1
    assert told > 5
    stage.snapshot.restore()
