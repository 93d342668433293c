"""Imports and exports are measured as they are run, and are flat in memory."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_small_move_is_measured_and_judged() -> None:
    command = [sys.executable, "-m", "bench.moving", "--grants", "50", "500"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, verdict = done.stdout.splitlines()
    assert len(lines) == 12
    assert all("grants" in line and "MiB" in line for line in lines)
    assert verdict == "flat"
