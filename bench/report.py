"""The report: a table for people, JSON for programs, both from the same rows."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.scenario import Row, Scenario
from bench.stage import Plan


def machine() -> Mapping[str, str | int]:
    """Describe the machine as far as figures need it."""
    return {"cores": os.cpu_count() or 0, "python": platform.python_version()}


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table, numbers to the right."""
    if not rows:
        return "(nothing was measured)"
    names = list(rows[0])
    cells = [names, *([_shown(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    rule = ["-" * (width - 1) + ":" for width in widths]
    rule[0] = "-" * widths[0]
    lines = [
        "| "
        + " | ".join(
            text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in [cells[0], rule, *cells[1:]]
    ]
    return "\n".join(lines)


def write(
    path: Path, plan: Plan, results: Mapping[str, tuple[Scenario, Sequence[Row]]], left_out: Mapping[str, str]
) -> None:
    """Write everything as JSON: machine, plan, the rows of each scenario, and which peers are missing, and why."""
    scenarios = {name: {"about": scenario.about, "rows": list(rows)} for name, (scenario, rows) in results.items()}
    document = {"machine": machine(), "plan": asdict(plan), "scenarios": scenarios, "left_out": left_out}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _shown(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
