"""The README's five-minute tour, pasted into a shell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.process import free_port

ROOT = Path(__file__).parents[2]
PORT = "8000"
TOUR = re.compile(r"## Five-minute tour\n.*?```sh\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
MISSING = [program for program in ("curl", "jq") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the tour uses {' and '.join(MISSING)}")


def tour() -> tuple[str, str]:
    """Return the tour's commands, on a free port and without the demo, and what they print."""
    found = TOUR.search((ROOT / "README.md").read_text("utf-8"))
    assert found is not None
    first, _, commands = found[1].partition("\n")
    assert first.startswith("make demo ARGS=--once"), "which a test of its own runs"
    return commands.replace(PORT, str(free_port())), found[2]


def paste(shell: str, commands: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the tour in a folder that looks like a checkout whose demo has run."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment["TMPDIR"] = str(folder / "tmp")
    return subprocess.run(
        [shell],
        cwd=folder,
        env=environment,
        input=commands + "\necho and your shell is still there\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_tour_works_as_pasted(shell: str, tmp_path: Path) -> None:
    commands, expected = tour()
    done = paste(shell, commands, tmp_path)
    assert done.stdout == f"{expected}and your shell is still there\n", done.stdout + done.stderr
    assert list((tmp_path / "tmp").iterdir()) == [], "it cleans up behind itself"


def test_a_refusal_is_shown_and_ends_the_tour(tmp_path: Path) -> None:
    commands, _ = tour()
    done = paste("sh", commands.replace('"useOAuthClient": true', '"useOAuthClient": "yes"'), tmp_path)
    assert done.stdout == "and your shell is still there\n", done.stdout
    assert '"pointer":"/data/attributes/descriptor/useOAuthClient"' in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
