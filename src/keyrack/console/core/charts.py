"""Works out bar charts that pages draw as SVG: numbers over time, stacked by kind, on a scale that people can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH = 720
"""Of a chart, in its own units; the page scales it."""
_GAP = 0.18
_SCALE = (1, 2, 5)
_LEAST = 2.0
"""A bar that stands for something is at least so high."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a chart shows of one span of time.

    Attributes:
        began_at: its beginning.
        label: of the span, for its tooltip and for the table.
        values: by kind.
    """

    began_at: datetime
    label: str
    values: Mapping[str, int]

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.values.values())


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis of time."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        id: unique on its page.
        title: what it shows.
        said: the same in a sentence, for who does not see it.
        height: in its own units, without the line of times.
        top: what its upper edge stands for.
        columns: what it shows.
        stacks: the rectangles of each column.
        ticks: marks of time.
    """

    id: str
    title: str
    said: str
    height: int
    top: int
    columns: Sequence[Column]
    stacks: Sequence[Sequence[Bar]]
    ticks: Sequence[Tick]

    @property
    def total(self) -> int:
        """All that it shows."""
        return sum(column.total for column in self.columns)


def chart(
    id: str,  # noqa: A002 - the element's
    title: str,
    said: str,
    columns: Sequence[Column],
    kinds: Sequence[str],
    ticks: Mapping[int, str],
    *,
    height: int = 120,
) -> Chart:
    """Work out a chart.

    Args:
        id: unique on its page.
        title: what it shows.
        said: the same in a sentence.
        columns: at least one.
        kinds: in the order in which they are stacked, the lowest first.
        ticks: labels of times by the number of the column that they stand under.
        height: in the chart's units.
    """
    top = readable_top(max(column.total for column in columns))
    step = WIDTH / len(columns)
    stacks = [_stack(column, kinds, place * step, step, height, top) for place, column in enumerate(columns)]
    marks = [Tick(round((place + 0.5) * step, 1), label) for place, label in ticks.items()]
    return Chart(id, title, said, height, top, columns, stacks, marks)


def readable_top(most: int) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 … that is not below a number."""
    power = 1
    while True:
        for factor in _SCALE:
            if factor * power >= most:
                return factor * power
        power *= 10


def _stack(column: Column, kinds: Sequence[str], x: float, step: float, height: int, top: int) -> Sequence[Bar]:
    bars, base = list[Bar](), float(height)
    for kind in kinds:
        value = column.values.get(kind, 0)
        if value:
            tall = min(base, max(_LEAST, value * height / top))
            base -= tall
            bars.append(
                Bar(kind, round(x + step * _GAP / 2, 2), round(base, 2), round(step * (1 - _GAP), 2), round(tall, 2))
            )
    return bars
