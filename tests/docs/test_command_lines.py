"""Every `curl` and `keyrack` line of the documentation is run by a test (issue 8.16)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")])
BLOCK = re.compile(r"^([ \t]*)(?:```|~~~)(.*)\n((?:.*\n)*?)\1(?:```|~~~)[ \t]*$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[\s$(|;&])(?:\S*/)?(?:curl|keyrack)\s+[\w\"'$-]")
NO_COMMANDS = {"json", "nginx", "python", "text", "toml", "yaml"}
RUN = "sh"
"""Blocks of this kind are run, by the test of their page; `support.pages` and what is special say how."""

RUN_BY = {
    "README.md": "tests/docs/test_readme_tour.py",
    "docs/guides/auth-clients.md": "tests/guides/test_guides.py",
    "docs/guides/component-developer.md": "tests/guides/test_guides.py",
    "docs/guides/integrator.md": "tests/guides/test_guides.py",
    "docs/guides/platform-operator.md": "tests/guides/test_guides.py",
    "docs/guides/running-component.md": "tests/guides/test_guides.py",
    "docs/guides/tenant-admin.md": "tests/guides/test_guides.py",
    "docs/import.md": "tests/guides/test_reference_pages.py",
    "docs/keys.md": "tests/guides/test_reference_pages.py",
    "docs/migrating.md": "tests/guides/test_reference_pages.py",
    "docs/metrics.md": "tests/guides/test_reference_pages.py",
    "docs/operations.md": "tests/guides/test_operations_page.py",
    "docs/providers.md": "tests/guides/test_reference_pages.py",
    "docs/simulator.md": "tests/guides/test_reference_pages.py",
    "docs/webhooks.md": "tests/guides/test_reference_pages.py",
}
ELSEWHERE = {
    "docs/deployment.md": "needs a container engine, a cluster or root; tests/deploy judges what the lines use"
}
"""Pages none of whose lines can be run, with the reason."""
NOT_RUN = {
    ("docs/operations.md", "$ keyrack bootstrap --email you@example.com --json"): (
        "names a database server with TLS that only a reader has; under Backup it runs against a real one"
    ),
}
"""Lines of other blocks, with the reason."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def command_lines(page: Path) -> list[tuple[str, str]]:
    """Return the lines of a page's blocks that call `curl` or `keyrack`, with the kind of their block."""
    found = []
    for _, kind, text in BLOCK.findall(page.read_text("utf-8")):
        for line in text.splitlines():
            shown = re.sub(r"(^|\s)#.*", "", line)
            if kind not in NO_COMMANDS and COMMAND.search(shown):
                found.append((kind.strip(), line.strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_of_a_page_is_run(page: Path) -> None:
    if name(page) in ELSEWHERE:
        return
    left = [line for kind, line in command_lines(page) if kind != RUN and (name(page), line) not in NOT_RUN]
    assert left == [], "mark the block `sh` so that the page's test runs it, or say above why none can"
    if any(kind == RUN for kind, _ in command_lines(page)):
        assert name(page) in RUN_BY, "no test runs this page; follow it in tests/guides/"


CURL = re.compile(r"(?:^|[\s$(|;&])curl\s[^\n]*")
WAITS = re.compile(r"until curl -s[^\n]*(?:\|\| ! kill -0|done)")
SHOWS = re.compile(r"curl (?:--fail-with-body -sS? |-sS )")
"""curl fails and gives the body all the same, or does not fail and leaves the body to what follows."""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_shows_what_the_server_says_when_it_refuses(page: Path) -> None:
    blocks = [text for _, kind, text in BLOCK.findall(page.read_text("utf-8")) if kind.strip() == RUN]
    calls = [line.strip() for text in blocks for line in re.sub(r"#.*", "", text).splitlines() if CURL.search(line)]
    silent = [line for line in calls if not (WAITS.search(line) or SHOWS.search(line))]
    assert silent == [], "-f and -o /dev/null hide the error document; see the function `api` of the guides"
    assert [line for line in calls if "-o /dev/null" in line and not WAITS.search(line)] == []


@pytest.mark.parametrize("page", RUN_BY)
def test_the_test_of_a_page_names_it(page: str) -> None:
    assert Path(page).name in (ROOT / RUN_BY[page]).read_text("utf-8")
    assert len(command_lines(ROOT / page)) > 0


def test_exceptions_are_of_lines_that_are_there() -> None:
    assert [line for page, line in NOT_RUN if line not in [each for _, each in command_lines(ROOT / page)]] == []
