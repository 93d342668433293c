"""Pages of the documentation as programs: their commands are run in order, and what they print is compared.

Blocks marked `sh` are run, a whole page in one shell; what follows in a `text` block must be in their output, line by
line. A block marked `sh given` names what the reader has at hand: the test supplies it. Other blocks are only shown.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.parts import require_part

BLOCK = re.compile(r"^```(\w+)( given)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("bash", "curl", "jq")
MARK = "\x1e"
ON_EXIT = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
STRICT = ("-euo", "pipefail")
SECONDS = 300


@dataclass
class Step:
    """A block of commands and the lines it must print."""

    commands: str
    expected: list[str] = field(default_factory=list)


def steps_of(page: Path) -> list[Step]:
    """Return a page's commands with what they print."""
    steps: list[Step] = []
    for kind, given, text in BLOCK.findall(page.read_text("utf-8")):
        if kind == "sh" and not given:
            steps.append(Step(text))
        elif kind == "text":
            steps[-1].expected += text.splitlines()
    return steps


def given_in(page: Path) -> set[str]:
    """Return the variables a page expects the reader to set."""
    blocks = [text for kind, given, text in BLOCK.findall(page.read_text("utf-8")) if given]
    return set(re.findall(r"^(\w+)=", "".join(blocks), re.MULTILINE))


@dataclass(frozen=True)
class Ran:
    """What came of commands that ran in a shell: its exit status, what each step printed, and the errors."""

    status: int
    printed: list[str]
    errors: str


def run_steps(
    steps: Sequence[Step],
    folder: Path,
    given: Mapping[str, str],
    ports: Mapping[str, int],
    options: Sequence[str] = STRICT,
    programs: Path | None = None,
) -> Ran:
    """Run commands in one shell, whatever comes of them.

    Args:
        steps: the commands.
        folder: where to run them.
        given: variables that the reader has set.
        ports: which port to use in place of a written one.
        options: of the shell; none where the commands set their own.
        programs: a folder whose programs come before others of their names.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            require_part(program, "not on the path; the guides use it")
    script = "".join(f"printf '%s\\n' '{MARK}'\n{with_ports(step.commands, ports)}" for step in steps)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{given.get('PATH', environment['PATH'])}"
    if programs is not None:
        environment["PATH"] = f"{programs}:{environment['PATH']}"
    with subprocess.Popen(
        ["bash", *options, "-c", f"{ON_EXIT}{script}"],
        cwd=folder,
        env=dict(given) | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            output, errors = shell.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGTERM)  # the shell's own group, with the servers that the page started
            raise
    return Ran(shell.returncode, output.split(MARK)[1:], errors)


def with_ports(text: str, ports: Mapping[str, int]) -> str:
    """Return a text with other ports in place of those written; all at once, since a new one may have another in it."""
    return re.sub("|".join(ports), lambda found: str(ports[found[0]]), text) if ports else text


def follow(
    pages: Path | Sequence[Path],
    folder: Path,
    given: Mapping[str, str],
    ports: Mapping[str, int],
    options: Sequence[str] = STRICT,
    programs: Path | None = None,
) -> None:
    """Run the commands of a page, or of several one after another, in one shell; compare what they print.

    Args and raises: as `run_steps`; all must succeed.
    """
    places = [(page, step) for page in ([pages] if isinstance(pages, Path) else pages) for step in steps_of(page)]
    ran = run_steps([step for _, step in places], folder, given, ports, options, programs)
    page, failed = places[max(len(ran.printed) - 1, 0)]
    assert ran.status == 0, f"{page.name}:\n{failed.commands}\nprinted {ran.printed[-1:]}\n{ran.errors}"
    for (page, step), text in zip(places, ran.printed, strict=True):
        missing = [line for line in step.expected if with_ports(line, ports) not in text]
        assert missing == [], f"{page.name}:\n{step.commands}\nprinted {text}\n{ran.errors}"
