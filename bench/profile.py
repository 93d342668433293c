"""Where the time of a request goes: `python -m bench.profile`. A table of shares by room, for each kind of request.

py-spy looks at a loaded server a few hundred times a second, from outside. A look counts for the room of the function
that runs (own) and for every room on the stack (with what it calls). What is written in C counts for its caller, and
what C does without Python's lock, such as SQLite, is not seen.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.load import Order, Seen, generate
from bench.request_kinds import AT_ONCE, HOT_READ, READ, REFRESH, WRITE, Kinds, kinds_at, served, token_endpoint
from bench.scenario import Row
from bench.secrets_stored import set_up
from bench.stage import DATABASES, OUT_OF_REACH, POSTGRESQL, Plan, stage

_LOOKS_A_SECOND = 250
_GRACE = 60.0
_LEAST_PERCENT = 0.5


@dataclass(frozen=True, slots=True)
class Shares:
    """How often each room was seen.

    Attributes:
        looks: how many there were.
        own: of these, by room: it was running.
        within: of these, by room: it, or what it had called.
    """

    looks: int
    own: Mapping[str, int]
    within: Mapping[str, int]


def main(words: Sequence[str]) -> int:
    """Profile each kind of request and print the tables; return the exit status."""
    asked = _parser().parse_args(words)
    program = shutil.which("py-spy", path=sysconfig.get_path("scripts"))
    if program is None:
        print("py-spy is not installed; `make profile` installs it", file=sys.stderr)
        return 1
    with stage(Plan(), lambda text: print(text, file=sys.stderr)) as made, token_endpoint() as provider:
        stored = set_up(made, asked.database, "profile", **OUT_OF_REACH)
        with served(stored, "--no-worker") as running:
            kinds = kinds_at(running, provider)
            for name in asked.kind or kinds.requests:
                seen, shares = _profiled(program, kinds, name, asked.seconds)
                print(f"\n{name}, {asked.database}: {seen.cpu_ms:.2f} ms of a core for one, {shares.looks} looks\n")
                print(report.table(_rows(shares)))
    return 0


def shares_of(stacks: str) -> Shares:
    """Count rooms in stacks as py-spy's raw format has them: `function (file:line);function (file:line) count`."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        rooms = [_room(frame) for frame in frames.split(";") if "(" in frame]
        if rooms:
            own[rooms[-1]] += int(count)
            within.update(dict.fromkeys(rooms, int(count)))
    return Shares(own.total(), own, within)


def _room(frame: str) -> str:
    """Return where a function is: a room of Keyrack, another package, or a module of Python's library.

    The event loop is C: what it does by itself counts for `python asyncio`, which runs it.
    """
    path = Path(frame.rpartition(" (")[2].rpartition(":")[0])
    parts = path.with_suffix("").parts
    if "keyrack" in parts[:-1]:
        return "keyrack." + parts[len(parts) - parts[::-1].index("keyrack")]
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    library = [part.startswith("python3") for part in parts]
    return f"python {parts[library.index(True) + 1]}" if True in library else "elsewhere"


def _profiled(program: str, kinds: Kinds, name: str, seconds: float) -> tuple[Seen, Shares]:
    """Load a server with one kind of request, and look at it meanwhile."""
    target = kinds.target
    order = Order("127.0.0.1", target.port, kinds.requests[name], AT_ONCE, 1.0, seconds, pid=target.pid)
    with tempfile.TemporaryDirectory(prefix="keyrack-profile-") as folder:
        stacks = Path(folder) / "stacks"
        options = ["--rate", str(_LOOKS_A_SECOND), "--duration", str(max(1, round(seconds))), "--format", "raw"]
        command = [
            program,
            "record",
            "--pid",
            str(target.pid),
            *options,
            "--gil",
            "--full-filenames",
            "--output",
            str(stacks),
        ]
        looking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            seen = asyncio.run(generate(order))
            _, said = looking.communicate(timeout=_GRACE)
        finally:
            looking.kill()
            looking.wait()
        if looking.returncode != 0:
            raise RuntimeError(f"py-spy: {said}")
        return seen, shares_of(stacks.read_text())


def _rows(shares: Shares) -> Sequence[Row]:
    """Return a row for each room that runs itself; what only calls others is left out."""
    least = shares.looks * _LEAST_PERCENT / 100
    rooms = sorted((room for room, own in shares.own.items() if own >= least), key=lambda room: -shares.own[room])
    return [
        {
            "room": room,
            "own %": round(100 * shares.own[room] / shares.looks, 1),
            "with what it calls %": round(100 * shares.within[room] / shares.looks, 1),
        }
        for room in rooms
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench.profile", description="Show where the time of a request goes.")
    add = parser.add_argument
    add("--kind", action="append", choices=(HOT_READ, READ, WRITE, REFRESH), help="this kind only")
    add("--seconds", type=float, default=5.0, help="how long each kind is looked at (default %(default)g)")
    add("--database", choices=DATABASES, default=POSTGRESQL, help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
