"""Measures and draws the plots of bench/plots: `python -m bench.plots`.

How throughput and the 99th percentile follow the number of connections, for a hot and an ordinary read, at Keyrack and
its peers; and what requests cost when more and more secrets are stored.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.drawing import Points, drawn
from bench.estates import bao, bare, keyrack, usual
from bench.request_kinds import kinds_at, served, token_endpoint
from bench.scenario import Row
from bench.scenarios.flat_costs import cost_of, filled, requests_of
from bench.side_by_side import Target, read
from bench.stage import POSTGRESQL, Plan, Stage, stage

_CONNECTIONS = (1, 8, 32, 64, 128)
_STORED = (1_000, 10_000, 100_000, 1_000_000)
FOLDER = Path(__file__).parent / "plots"


def main(words: Sequence[str]) -> int:
    """Measure, and write a file for each plot; return the exit status."""
    asked = _parser().parse_args(words)
    asked.folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(seconds=asked.seconds, warm_up=min(Plan().warm_up, asked.seconds), runs=asked.runs)
    with stage(plan, lambda text: print(f"  {text}", file=sys.stderr)) as made:
        for name, drawing in _drawings(made, asked):
            (asked.folder / f"{name}.svg").write_text(drawing)
            print(asked.folder / f"{name}.svg", flush=True)
    return 0


def _drawings(made: Stage, asked: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each drawing as soon as it is measured."""
    target, estate = keyrack(made, asked.database)
    peer, vault = usual(made, asked.database), bao(made)
    reads = [(target, estate.secret)] + ([vault] if vault else []) + ([(peer[0], peer[1].secret)] if peer else [])
    yield from _against_connections(made, asked, "hot read", reads)
    reads = [(target, estate.credential)] + ([(peer[0], peer[1].credential)] if peer else [])
    yield from _against_connections(made, asked, "ordinary read", reads)
    yield "cost-by-secrets", _against_stored(made, asked.database, asked.stored)


def _against_connections(
    made: Stage, asked: argparse.Namespace, kind: str, reads: Sequence[tuple[Target, str]]
) -> Iterator[tuple[str, str]]:
    with bare(made, asked.database, reads[0][1]) as plain:
        rows = {number: read(made, [*reads, (plain, reads[0][1])], number) for number in asked.connections}
    for name, column, what in (("rate", "requests/s", "requests a second"), ("p99", "p99 ms", "99th percentile, ms")):
        title = f"{kind.capitalize()} ({asked.database}): {what}"
        drawing = drawn(title, "connections", what, _series(rows, column), asked.connections)
        yield f"{kind.replace(' ', '-')}-{name}", drawing


def _series(rows: Mapping[int, Sequence[Row]], column: str) -> Mapping[str, Points]:
    """Return a line for each server from the rows of each number of connections."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for number, of_number in rows.items():
        for row in of_number:
            lines.setdefault(str(row["server"]), []).append((number, float(row[column])))
    return lines


def _against_stored(made: Stage, database: str, sizes: Sequence[int]) -> str:
    """Measure the median time of each kind at one database after the other, so that one server runs at a time."""
    lines: dict[str, list[tuple[float, float]]] = {}
    with token_endpoint() as provider:
        for size in sizes:
            stored = filled(made, database, f"plot-{size}", secrets=size)
            with served(stored, "--no-worker") as running:
                kinds = kinds_at(running, provider)
                for what, requests in requests_of(kinds).items():
                    costs = [cost_of(made, kinds, requests) for _ in range(made.plan.runs)]
                    lines.setdefault(what, []).append((size, statistics.median(cost.p50_ms for cost in costs)))
    return drawn(f"Requests by what is stored ({database}): median", "auth secrets stored", "median, ms", lines, sizes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench.plots", description="Measure and draw what bench/README.md shows.")
    add = parser.add_argument
    add("--seconds", type=float, default=1.0, help="length of one run (default %(default)g)")
    add("--runs", type=int, default=3, help="runs of each kind; medians are drawn (default %(default)s)")
    add("--connections", type=int, nargs="+", default=_CONNECTIONS, help="how many ask at the same time")
    add("--stored", type=int, nargs="+", default=_STORED, help="how many secrets are stored")
    add("--database", default=POSTGRESQL, help="default %(default)s")
    add("--folder", type=Path, default=FOLDER, help="where to write (default: bench/plots)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
