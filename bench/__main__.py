"""`python -m bench`: run scenarios and report. `make bench ARGS="--only NAME --seconds S"` prepares the environment."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.scenario import Row, Scenario
from bench.scenarios import SCENARIOS
from bench.stage import DATABASES, Plan, stage

_USUAL = Plan()


def main(words: Sequence[str]) -> int:
    """Measure what was asked for; return the exit status."""
    asked = _parser().parse_args(words)
    if asked.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name}: {scenario.about}")
        return 0
    plan = Plan(
        seconds=asked.seconds,
        warm_up=min(_USUAL.warm_up, asked.seconds),
        runs=asked.runs,
        connections=tuple(asked.connections),
        databases=tuple(asked.database or DATABASES),
    )
    chosen = [scenario for scenario in SCENARIOS if not asked.only or scenario.name in asked.only]
    began = time.monotonic()
    results: dict[str, tuple[Scenario, Sequence[Row]]] = {}
    with stage(plan, lambda text: print(f"  {text}", file=sys.stderr)) as made:
        for scenario in chosen:
            print(f"{scenario.name}: {scenario.about}", file=sys.stderr)
            results[scenario.name] = (scenario, scenario.run(made))
    for name, (scenario, rows) in results.items():
        print(f"\n{name}: {scenario.about}\n\n{report.table(rows)}")
    for peer, reason in made.left_out.items():
        print(f"\n{peer} is left out: {reason}")
    known = report.machine()
    print(f"\n{known['cores']} cores, Python {known['python']}; {time.monotonic() - began:.0f} s in all")
    if asked.json:
        report.write(asked.json, plan, results, made.left_out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench", description="Measure Keyrack beside other servers that do the same.")
    add = parser.add_argument
    add("--only", metavar="NAME", action="append", choices=[s.name for s in SCENARIOS], help="run this scenario only")
    add("--seconds", type=_positive, default=_USUAL.seconds, help="length of one run (default %(default)s)")
    add("--runs", type=int, default=_USUAL.runs, help="runs of each kind; medians are shown (default %(default)s)")
    add("--connections", type=int, nargs="+", default=(), help="clients at the same time (default: the scenario's)")
    add("--database", action="append", choices=DATABASES, help="where data lives; both by default")
    add("--json", type=Path, metavar="FILE", help="write the results as JSON too")
    add("--list", action="store_true", help="list the scenarios")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be positive")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
