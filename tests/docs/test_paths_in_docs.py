"""What the documentation points to is there: links, anchors, files named in the text, and the table of the contract."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`([\w.*-]+(?:/[\w.*-]+)*(?:/|\.(?:py|md|html|css|mjs)))`")
FROM = ("", "src/keyrack", "src/keyrack/simulator", "tests", "bench", "docs", "docs/guides")
OURS = ("src/keyrack/service/*.py", "tests/contract/test_*.py", "tests/flows/test_*.py")
SECTIONS = range(25)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page sets itself, and those that a code host makes of its headings."""
    text = page.read_text("utf-8")
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return made | set(re.findall(r'<a id="([^"]+)"></a>', text))


def there(place: Path, named: str) -> bool:
    """Tell whether a name, which may have asterisks, leads to something."""
    return any(place.glob(named))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_named_in_the_text_exists(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    places = [page.parent, *(ROOT / place for place in FROM)]
    named = set(NAMED.findall(prose))
    assert sorted(path for path in named if not any(there(place, path) for place in places)) == []


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    led_to = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    assert sorted(name(page) for page in ROOT.glob("docs/**/*.md") if page not in led_to | {index}) == []


def contract_table() -> dict[int, tuple[str, str]]:
    """Return the cells of the contributor's table by section."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\d+) [^|]*\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    return {int(section): (code, tests) for section, code, tests in rows}


def test_every_section_of_the_contract_has_a_row() -> None:
    assert list(contract_table()) == list(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_row_names_files_that_exist(section: int) -> None:
    code, tests = contract_table()[section]
    for cell, folder in ((code, "src/keyrack"), (tests, "tests")):
        missing = [path for path in NAMED.findall(cell) if not there(ROOT / folder, path)]
        assert missing == []
    built = "not built" not in code and "with the section" not in code
    assert NAMED.findall(code) or not built
    assert NAMED.findall(tests) or not built


@pytest.mark.parametrize("pattern", OURS)
def test_every_file_of_these_rooms_is_in_the_table(pattern: str) -> None:
    named = NAMED.findall(" ".join(cell for row in contract_table().values() for cell in row))
    room = ROOT / ("tests" if pattern.startswith("tests") else "src/keyrack")
    found = {str(path.relative_to(room)) for path in ROOT.glob(pattern) if path.name != "__init__.py"}
    absent = sorted(path for path in found if not any(fnmatch(path, name) for name in named))
    assert absent == [], "name them in the table of CONTRIBUTING.md"
