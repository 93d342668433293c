"""Charts: the scale, and rectangles that stand on the axis and on each other."""

from datetime import UTC, datetime

import pytest

from keyrack.console.core.charts import WIDTH, Column, chart, readable_top
from keyrack.console.operator.words import duration, number

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (1, 1), (2, 2), (3, 5), (10, 10), (11, 20), (999, 1000), (1001, 2000), (4_000_000, 5_000_000)],
)
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert readable_top(most) == top


def test_bars_are_stacked_in_order_from_the_axis() -> None:
    columns = [Column(NOW, "one", {"a": 30, "b": 20}), Column(NOW, "two", {}), Column(NOW, "three", {"b": 100})]
    made = chart("x", "T", "S", columns, ["a", "b"], {2: "here"}, height=100)
    (first, second), nothing, (third,) = made.stacks
    assert (first.kind, first.y, first.height) == ("a", 70, 30)
    assert (second.kind, second.y, second.height) == ("b", 50, 20)
    assert nothing == []
    assert (third.y, third.height) == (0, 100)
    assert third.x + third.width < WIDTH
    assert made.ticks[0].x == pytest.approx(WIDTH * 5 / 6, abs=0.1)
    assert (made.top, made.total) == (100, 150)


def test_what_is_hardly_there_is_seen_and_nothing_leaves_the_chart() -> None:
    columns = [Column(NOW, "one", {"a": 1, "b": 1_000_000})]
    made = chart("x", "T", "S", columns, ["a", "b"], {}, height=100)
    small, large = made.stacks[0]
    assert small.height == 2
    assert large.y >= 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert number(1234567) == "1\u202f234\u202f567"
    assert number(10_000, 10_000) == "10\u202f000+"
    assert number(9_999, 10_000) == "9\u202f999"
