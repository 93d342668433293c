"""The soak loads a server as it says, and says so when memory grows or requests are lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.soak import Reading, verdict

ROOT = Path(__file__).parents[2]


def readings(*resident: float, failed: int = 0, proportional: float = 100.0) -> list[Reading]:
    return [Reading(n + 1, each, proportional, 20, 50.0, failed, {}) for n, each in enumerate(resident)]


def test_a_short_soak_reads_memory_and_judges_it() -> None:
    command = [sys.executable, "-m", "bench.soak", "--minutes", "0.1", "--every", "1", "--database", "sqlite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "half load is" in lines[0]
    assert len(lines) >= 4
    assert all("MiB resident" in line and " 0 failed" in line for line in lines[1:-1])
    assert lines[-1] == "flat within 20%, and every request was answered"


@pytest.mark.parametrize("resident", [(100, 100, 119), (100, 100, 81), (50, 100, 100), (200, 100, 100)])
def test_memory_is_flat_within_a_fifth_of_what_it_was_after_the_warm_up(resident: tuple[float, ...]) -> None:
    assert verdict(readings(*resident), 1.5) == []


@pytest.mark.parametrize("resident", [(100, 100, 121), (100, 100, 121, 100), (100, 100, 79)])
def test_memory_that_left_it_is_not_flat(resident: tuple[float, ...]) -> None:
    (fault,) = verdict(readings(*resident), 1.5)
    assert "resident_mib is not flat: 100.0 after warm-up" in fault


def test_lost_requests_and_too_few_readings_are_no_success() -> None:
    assert verdict(readings(100, 100, failed=1), 0.5) == ["2 requests were not answered with 200"]
    assert "too few readings" in verdict(readings(100, 100), 1.5)[0]
