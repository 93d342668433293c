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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.parts import require_part

BLOCK = re.compile(r"^```(\w+)( given)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("bash", "curl", "jq")
MARK = "\x1e"
ON_EXIT = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
SECONDS = 180


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


def follow(
    page: Path, folder: Path, given: Mapping[str, str], ports: Mapping[str, int], carried: tuple[str, ...] = ()
) -> dict[str, str]:
    """Run a page's commands in one shell.

    Args:
        page: the page.
        folder: where to run it.
        given: variables that the reader has set.
        ports: which port to use in place of a written one.
        carried: variables whose values are wanted when the page ends.

    Returns:
        Those variables that are set then.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            require_part(program, "not on the path; the guides use it")
    steps = steps_of(page)
    script = "".join(f"printf '%s\\n' '{MARK}'\n{step.commands}" for step in steps)
    for written, real in ports.items():
        script = script.replace(written, str(real))
    ending = ":\n" + "\n".join(f'printf "%s=%s\\n" {name} "${{{name}-}}"' for name in carried)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{given.get('PATH', environment['PATH'])}"
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", f"{ON_EXIT}{script}\n{{ {ending}\n}} > carried\n"],
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
    printed = output.split(MARK)[1:]
    failed = steps[max(len(printed) - 1, 0)].commands
    assert shell.returncode == 0, f"{page.name}:\n{failed}\nprinted {printed[-1:]}\n{errors}"
    for step, text in zip(steps, printed, strict=True):
        missing = [line for line in step.expected if line not in text]
        assert missing == [], f"{page.name}:\n{step.commands}\nprinted {text}"
    found = (line.split("=", 1) for line in (folder / "carried").read_text().splitlines())
    return {name: value for name, value in found if value}
