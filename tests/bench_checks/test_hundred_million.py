"""The simulation of 100 million grants follows Keyrack's schedule, and makes or loses none."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.hundred_million import MEASURED, Fleet, main, needs, storm

ROOT = Path(__file__).parents[2]


def test_what_falls_due_is_what_the_schedule_says() -> None:
    """A token of an hour is refreshed half a minute before its end, and up to six minutes earlier than that."""
    fleet = Fleet(3_600_000)
    assert 3_600_000 / 3_570 < fleet.due_rate < 3_600_000 / 3_210
    steady = list(fleet.run(0, 720, 1e12))
    assert max(point.rate for point in steady[10:]) < 1.1 * fleet.due_rate, "it is spread"
    assert all(point.expired == 0 for point in steady)
    assert fleet.all == pytest.approx(3_600_000)


def test_after_an_outage_all_is_drained_at_the_rate_that_there_is() -> None:
    short, hour = storm(1e6, 600, 2.0), storm(1e6, 3600, 2.0)
    assert 0 < short.expired < short.waiting < hour.waiting
    assert hour.waiting == pytest.approx(1e6)
    assert short.drained < hour.drained
    assert storm(1e6, 3600, 3.0).drained < hour.drained < storm(1e6, 3600, 1.25).drained
    assert all(found.fresh <= found.drained + 10 and found.peak <= found.capacity * 1.001 for found in (short, hour))


def test_needs_grow_with_grants_and_with_costs() -> None:
    one, two = dict(needs(1e6, MEASURED)), dict(needs(2e6, MEASURED))
    assert list(one) == list(two)
    assert float(two["refreshes a second"].replace(",", "")) == pytest.approx(2 * 295, abs=2)


def test_the_page_says_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    page = (ROOT / "docs/sizing.md").read_text()
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("| ") and "jitter" not in line:
            assert line in page, line


def test_it_is_a_command_with_costs_of_ones_own() -> None:
    words = [sys.executable, "-m", "bench.hundred_million", "--grants", "1000", "--outage", "600", "--worker-ms", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1,000 grants with tokens of one hour")
