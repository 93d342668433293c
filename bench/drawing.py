"""Draws lines as SVG: a few series, both axes logarithmic, each line with its name at its end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 40, 50
_COLOURS = ("#0b62a4", "#c2410c", "#4d7c0f", "#7e22ce", "#57534e", "#0f766e")
_STEPS = (1, 2, 5)
_LEAST_GAP = 14
"""Pixels between two names, so that they can be read."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a drawing.

    Attributes:
        title: what it shows, and its unit.
        least, most: the values at its ends.
        begins, ends: where those are, in pixels.
    """

    title: str
    least: float
    most: float
    begins: float
    ends: float

    def at(self, value: float) -> float:
        """Return where a value is."""
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.begins + share * (self.ends - self.begins)

    def marks(self) -> Sequence[float]:
        """Return round values between the ends; only powers of ten where there are many."""
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        steps = _STEPS if len(powers) <= 4 else (1,)  # noqa: PLR2004 - more would be crowded
        return [
            step * 10.0**power for power in powers for step in steps if self.least <= step * 10.0**power <= self.most
        ]


def drawn(title: str, across: str, up: str, series: Mapping[str, Points], marks: Sequence[float] = ()) -> str:
    """Return a drawing as SVG.

    Args:
        title: what is drawn.
        across, up: what the axes show, with units.
        series: points by the name of what they belong to; all values are above zero.
        marks: values to mark on the axis across; none: round ones.
    """
    points = [point for line in series.values() for point in line]
    x = _axis(across, [point[0] for point in points], _LEFT, _WIDTH - _RIGHT)
    y = _axis(up, [point[1] for point in points], _HEIGHT - _BOTTOM, _TOP)
    ends = _apart({name: y.at(line[-1][1]) for name, line in series.items()})
    turned = f'transform="translate(16 {(y.begins + y.ends) / 2}) rotate(-90)"'
    body = [
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        *(_mark_across(x, value) for value in marks or x.marks()),
        *(_mark_up(y, value) for value in y.marks()),
        f'<text x="{(x.begins + x.ends) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text {turned} text-anchor="middle">{escape(up)}</text>',
    ]
    for (name, line), colour in zip(series.items(), _COLOURS, strict=False):
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in line)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" fill="{colour}"/>' for a, b in line]
        body.append(f'<text x="{x.ends + 10}" y="{ends[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    ground = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, ground, *body, "</svg>", ""])


def _axis(title: str, values: Sequence[float], begins: float, ends: float) -> Axis:
    least, most = min(values), max(values)
    if least == most:
        least, most = least / 2, most * 2
    return Axis(title, least, most, begins, ends)


def _apart(wanted: Mapping[str, float]) -> Mapping[str, float]:
    """Move places that are too near to each other down."""
    placed: dict[str, float] = {}
    before = -math.inf
    for name, place in sorted(wanted.items(), key=lambda item: item[1]):
        before = placed[name] = max(place, before + _LEAST_GAP)
    return placed


def _mark_across(axis: Axis, value: float) -> str:
    at = axis.at(value)
    line = f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#e5e5e5"/>'
    return f'{line}<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{value:,g}</text>'


def _mark_up(axis: Axis, value: float) -> str:
    at = axis.at(value)
    line = f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e5e5e5"/>'
    return f'{line}<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,g}</text>'
