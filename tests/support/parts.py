"""Parts of the test environment a machine may lack: skipped by name with the reason, and a failure in CI.

A fixture calls `require_part("chromium", "no browser found")` when its part cannot be had. The tests that need it are
skipped, the end of the run lists every missing part, and with CI=true each such skip is a failure instead. What is
skipped for another reason is named there too.
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

MARK = "missing part"
INSTALLED_PARTS = Path(sys.prefix) / ".keyrack"


def require_part(part: str, reason: str) -> NoReturn:
    """Skip the running test because `part` cannot be had here, and say why."""
    pytest.skip(f"{MARK} {part!r}: {reason}")


def why_not_installed(part: str) -> str:
    """Return why setting up the environment left `part` out."""
    noted = INSTALLED_PARTS / f"missing-{part}"
    if noted.exists():
        return noted.read_text().strip() or "its installation failed"
    return "not installed; `make test` installs it"


def is_strict() -> bool:
    """Tell whether a missing part must fail: true when CI is set to a true value."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception):
        message = str(call.excinfo.value)
        if message.startswith(MARK):
            # A plain attribute of simple type travels from the worker process to the one that reports.
            report.missing_part = message  # type: ignore[attr-defined]
            if is_strict():
                report.outcome = "failed"
                report.longrepr = f"{message}\nCI is set, so every part must be there."
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            message = getattr(report, "missing_part", None)
            if message is not None:
                missing[message] = missing.get(message, 0) + 1
            elif getattr(report, "skipped", False) and isinstance(report.longrepr, tuple):
                skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")
    if missing:
        terminalreporter.section("missing parts")
        for message, count in sorted(missing.items()):
            terminalreporter.line(f"{message} ({count} tests {'failed' if is_strict() else 'skipped'})")
    if skipped:
        terminalreporter.section("skipped tests")
        for test, reason in sorted(skipped.items()):
            terminalreporter.line(f"{test}: {reason}")
