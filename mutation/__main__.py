"""`python -m mutation`: put faults into rooms and count those noticed. `make mutate ARGS="--room oauth --seed 2"`."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mutation.checkout import ROOT, copied

MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = {"killed", "timeout"}
"""A fault that makes the tests run on for ever is noticed, too."""


def main(words: Sequence[str]) -> int:
    """Mutate what was asked for; return the exit status: 1 where a room's tests notice too little."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["tool"]["mutation"]
    rooms: Mapping[str, Any] = known["rooms"]
    asked = _parser(rooms).parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the copy is deleted then, too
    scores = {}
    for name in asked.room or rooms:
        room = rooms[name]
        settings = known["mutmut"] | {"pytest_add_cli_args_test_selection": room["tests"]}
        with copied(room["sources"], settings) as copy:
            there = _faults(copy)
            count = asked.faults or room["faults"]
            chosen = asked.fault or random.Random(asked.seed).sample(there, min(count, len(there)))
            print(f"{name}: {len(chosen)} of {len(there)} faults, seed {asked.seed}", flush=True)
            _run(copy, asked.processes, chosen)
            results = {fault: status for fault, status in _results(copy).items() if fault in chosen}
            for fault, status in results.items():
                if status not in NOTICED:
                    print(f"\n{status}: {_difference(copy, fault)}", flush=True)
        scores[name] = (len(results), sum(status in NOTICED for status in results.values()))
    print("\n| room | faults | noticed | score |\n|---|---|---|---|")
    for name, (faults, noticed) in scores.items():
        print(f"| {name} | {faults} | {noticed} | {100 * noticed / faults:.0f} % |")
    return int(any(noticed < known["at_least"] * faults for faults, noticed in scores.values()))


def _parser(rooms: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "mutation", description="Put faults into the code and count those the tests notice."
    )
    add = parser.add_argument
    add("--room", action="append", choices=list(rooms), help="this room only")
    add("--seed", type=int, default=1, help="which faults are drawn (default %(default)s)")
    add("--faults", type=int, metavar="N", help="how many are drawn; by default what the room's configuration says")
    add("--fault", action="append", metavar="NAME", help="this fault only, by the name a run has shown")
    add("--processes", type=int, default=os.cpu_count() or 1, help="faults tried at a time (default %(default)s)")
    return parser


def _faults(copy: Path) -> list[str]:
    """Return the names of all faults that there are to choose from."""
    code = (
        "import json\n"
        "from mutmut.mutation.file_mutation import mutate_file_contents\n"
        "from mutmut.utils.file_utils import walk_mutatable_files\n"
        "from mutmut.utils.format_utils import get_mutant_name\n"
        "named = lambda path: mutate_file_contents(str(path), path.read_text('utf-8')).mutant_names\n"
        "print(json.dumps([get_mutant_name(path, name) for path in walk_mutatable_files() for name in named(path)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, stdout=subprocess.PIPE, text=True, check=True)
    return sorted(json.loads(done.stdout))


def _run(copy: Path, processes: int, faults: Sequence[str]) -> None:
    """Let mutmut run the room's tests, first without and then with each fault."""
    environment = os.environ | {"TMPDIR": str(copy.parent / "tmp"), "PYTHONDONTWRITEBYTECODE": ""}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    command = [str(MUTMUT), "run", "--max-children", str(processes), *faults]
    running = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        told, _ = running.communicate()
    finally:  # however this ends, no test goes on in the copy, which is deleted
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    if running.returncode != 0:
        print(told)
        raise SystemExit("mutmut failed; without a fault the room's tests must pass")


def _results(copy: Path) -> dict[str, str]:
    """Return what became of each fault, in mutmut's words."""
    done = subprocess.run([MUTMUT, "results", "--all", "yes"], cwd=copy, stdout=subprocess.PIPE, text=True, check=True)
    return dict(line.strip().split(": ") for line in done.stdout.splitlines())


def _difference(copy: Path, fault: str) -> str:
    """Return what a fault changes, as mutmut shows it."""
    return subprocess.run([MUTMUT, "show", fault], cwd=copy, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
