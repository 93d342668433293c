"""What a scenario is: a name, and a function that measures on a stage and returns rows for the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.stage import Stage

Row = Mapping[str, str | int | float]
"""One line of the report; the members name their unit: `p99 ms`, `requests/s`."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One benchmark.

    Attributes:
        name: what `--only` chooses it by.
        about: what is measured, in one line.
        run: measures and returns the rows, all with the same members. It bounds itself by the stage's plan.
    """

    name: str
    about: str
    run: Callable[[Stage], Sequence[Row]]
