"""A missing part is skipped by name with its reason, listed at the end, and fails when CI is set."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from support.parts import require_part

@pytest.fixture(scope="session")
def browser():
    require_part("chromium", "no browser found")

def test_with_browser(browser): ...
def test_with_browser_again(browser): ...
def test_without(): ...
def test_ordinary_skip():
    pytest.skip("not on a Tuesday")
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, *args: str) -> pytest.RunResult:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the other plugins take seconds to load
    pytester.makepyfile(SUITE)
    return pytester.runpytest_subprocess("-p", "support.parts", "-p", "xdist.plugin", *args)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_skipped_by_name_with_the_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    result = run(pytester, monkeypatch, "", *workers)
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["*missing parts*", "missing part 'chromium': no browser found (2 tests skipped)"])
    result.stdout.fnmatch_lines(["*skipped tests*", "*::test_ordinary_skip: not on a Tuesday"])
    assert result.ret == 0


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]) -> None:
    result = run(pytester, monkeypatch, "true", *workers)
    # A failure while a fixture is set up counts as an error; the ordinary skip stays a skip.
    result.assert_outcomes(passed=1, skipped=1, errors=2)
    result.stdout.fnmatch_lines(["*missing parts*", "missing part 'chromium': no browser found (2 tests failed)"])
    assert result.ret == 1


def test_nothing_is_said_when_nothing_is_missing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(pytester, monkeypatch, "true", "-k", "without")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.no_fnmatch_line("*missing part*")
    result.stdout.no_fnmatch_line("*skipped tests*")
