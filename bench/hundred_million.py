"""Simulates 100 million grants with one-hour tokens: what falls due, what it takes, and the storm after an outage.

    python -m bench.hundred_million [--grants N] [--outage SECONDS] [--worker-ms MS] …

When a grant falls due is worked out by Keyrack's own schedule; what a refresh costs has been measured
(`make bench ARGS="--only refresh-cost"`), and can be given. Time goes in steps; grants whose stable share of the jitter
is alike go together. Nothing of it depends on the machine that it runs on, and it takes some seconds.
"""

import argparse
import math
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keyrack.service.secrets.refresh.schedule import Schedule

_STEP = 10
_COHORTS = 60
_HOUR = 3600
_ISSUED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Costs:
    """What one refresh costs, as measured.

    Attributes:
        worker_ms: of a core, in a worker's process.
        database_ms: of a core, in the database's processes.
        commits: transactions.
        log_bytes: of PostgreSQL's write-ahead log.
        row_bytes: of a stored grant, with its indexes.
    """

    worker_ms: float
    database_ms: float
    commits: float
    log_bytes: float
    row_bytes: float


MEASURED = Costs(worker_ms=3.3, database_ms=1.7, commits=3.5, log_bytes=25_800, row_bytes=1_560)
"""As `refresh-cost` printed them; docs/sizing.md says when."""


@dataclass(frozen=True, slots=True)
class Point:
    """How it stands at a moment.

    Attributes:
        second: since the outage was over.
        waiting: grants that are due.
        expired: of those, how many have a token that has expired.
        rate: refreshes a second since the step before.
    """

    second: int
    waiting: float
    expired: float
    rate: float


@dataclass(slots=True)
class Fleet:
    """All grants, by when they are due.

    Attributes:
        grants: how many.
        lifetime: of a token, seconds.
        schedule: Keyrack's.
        jitter: whether the schedule spreads them.
    """

    grants: float
    lifetime: int = _HOUR
    schedule: Schedule = field(default_factory=Schedule)
    jitter: bool = True
    _after: list[int] = field(default_factory=list)
    _due: dict[int, list[float]] = field(default_factory=dict)
    _waiting: "deque[tuple[int, int, float]]" = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Spread the grants as they are when all has gone well for long: evenly over their lifetimes."""
        expires = _ISSUED + timedelta(seconds=self.lifetime)
        found = sorted(
            (self.schedule.background_due(f"{n:024x}", _ISSUED, expires) - _ISSUED).total_seconds()
            for n in range(_COHORTS * 50)
        )
        chosen = found[25::50] if self.jitter else [found[-1]] * _COHORTS
        self._after = [max(1, round(seconds / _STEP)) for seconds in chosen]
        for cohort, steps in enumerate(self._after):
            for step in range(steps):
                self._add(step, cohort, self.grants / _COHORTS / steps)

    @property
    def due_rate(self) -> float:
        """Grants that fall due a second, when all has gone well for long."""
        return sum(self.grants / _COHORTS / (steps * _STEP) for steps in self._after)

    def _add(self, step: int, cohort: int, count: float) -> None:
        self._due.setdefault(step, [0.0] * _COHORTS)[cohort] += count

    def run(self, first: int, last: int, capacity: float) -> Iterator[Point]:
        """Let time pass, at most so many refreshes a second; the longest due go first, as workers claim them."""
        for step in range(first, last):
            for cohort, count in enumerate(self._due.pop(step, ())):
                if count:
                    self._waiting.append((step, cohort, count))
            left = room = capacity * _STEP
            while self._waiting and left > 0:
                since, cohort, count = self._waiting.popleft()
                taken = min(count, left)
                left -= taken
                self._add(step + self._after[cohort], cohort, taken)
                if taken < count:
                    self._waiting.appendleft((since, cohort, count - taken))
            yield Point((step - first) * _STEP, self.waiting, self._expired(step), (room - left) / _STEP)

    @property
    def waiting(self) -> float:
        """How many are due."""
        return sum(count for _, _, count in self._waiting)

    @property
    def all(self) -> float:
        """How many there are."""
        return self.waiting + sum(sum(counts) for counts in self._due.values())

    def _expired(self, step: int) -> float:
        lives = self.lifetime // _STEP
        return sum(count for since, cohort, count in self._waiting if since - self._after[cohort] + lives <= step)


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of an outage.

    Attributes:
        capacity: refreshes a second that workers, database and providers can do together, for each that falls due.
        waiting: grants that were due when it was over.
        expired: of those, with a token that had expired.
        fresh: seconds until no token was expired any more.
        drained: seconds until nothing was waiting any more.
        peak: the highest rate in the second and third hour after that, for each that falls due usually.
    """

    capacity: float
    waiting: float
    expired: float
    fresh: int
    drained: int
    peak: float


def storm(grants: float, outage: int, capacity: float, *, jitter: bool = True) -> Storm:
    """Let everything stand still for a while, and then go on."""
    fleet = Fleet(grants, jitter=jitter)
    limit = fleet.due_rate * capacity
    steps = outage // _STEP
    before = deque(fleet.run(0, steps, 0.0), maxlen=1)[0]
    points = list(fleet.run(steps, steps + 12 * _HOUR // _STEP, limit))
    assert math.isclose(fleet.all, grants, rel_tol=1e-6), "no grant is made or lost by it"
    fresh = next(point.second for point in points if point.expired < 1)
    drained = next(point.second for point in points if point.waiting < limit * _STEP)
    later = [point.rate for point in points if drained + _HOUR <= point.second < drained + 3 * _HOUR]
    return Storm(capacity, before.waiting, before.expired, fresh, drained, max(later) / fleet.due_rate)


def needs(grants: float, costs: Costs) -> Sequence[tuple[str, str]]:
    """Return what it takes when all goes well."""
    rate = Fleet(grants).due_rate
    return [
        ("refreshes a second", f"{rate:,.0f}"),
        ("worker processes, each on a core of its own, at 70 %", f"{math.ceil(rate * costs.worker_ms / 700):,}"),
        ("cores of the database, at 70 %", f"{math.ceil(rate * costs.database_ms / 700):,}"),
        ("transactions a second", f"{rate * costs.commits:,.0f}"),
        ("write-ahead log, MB a second", f"{rate * costs.log_bytes / 1e6:,.0f}"),
        ("the same, TB a day", f"{rate * costs.log_bytes * 86_400 / 1e12:,.1f}"),
        ("grants with their indexes, GB", f"{grants * costs.row_bytes / 1e9:,.0f}"),
        ("calls under way at providers that take 200 ms", f"{rate * 0.2:,.0f}"),
    ]


def main(words: Sequence[str]) -> int:
    """Print what was asked for."""
    asked = _parser().parse_args(words)
    costs = Costs(asked.worker_ms, asked.database_ms, asked.commits, asked.log_bytes, asked.row_bytes)
    print(f"{asked.grants:,.0f} grants with tokens of one hour\n")
    for what, amount in needs(asked.grants, costs):
        print(f"| {what} | {amount} |")
    print(f"\nafter {asked.outage} s in which nothing was refreshed\n")
    print("| capacity | jitter | due then | expired then | no token expired after | drained after | peak later |")
    print("|---|---|---|---|---|---|---|")
    for capacity in (1.1, 1.25, 1.5, 2.0, 3.0):
        for jitter in (True, False):
            found = storm(asked.grants, asked.outage, capacity, jitter=jitter)
            print(
                f"| {capacity} | {'yes' if jitter else 'no'} | {found.waiting / asked.grants:.0%}"
                f" | {found.expired / asked.grants:.0%} | {found.fresh / 60:.0f} min | {found.drained / 60:.0f} min"
                f" | {found.peak:.2f} |"
            )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench.hundred_million", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--grants", type=float, default=100e6, help="how many (default %(default)s)")
    add("--outage", type=int, default=_HOUR, help="seconds in which nothing is refreshed (default %(default)s)")
    for name, unit in (("worker-ms", "ms of a core"), ("database-ms", "ms of a core"), ("commits", "transactions"),
                       ("log-bytes", "bytes of the log"), ("row-bytes", "bytes of a grant")):  # fmt: skip
        usual = getattr(MEASURED, name.replace("-", "_"))
        add(f"--{name}", type=float, default=usual, help=f"{unit} for each refresh, or grant (default %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
