"""Every section of the contract that code, tests and pages cite is in `docs/contract/`, and can be linked to.

A citation is `contract 0.7`, `contract section 9`, `sections 3, 5 and 6`, `rules 24.4`, a bare `0.7` in a comment, a
docstring or a page, a list of numbers that a comment begins with (`# 17, 0.19`), or what a row of a test's table or a
message begins with (`("13.2", "POST", ...)`, `"13.2 a name"`). Other numbers have a name before them or a unit behind:
`RFC 6749 section 5.2`, `issue 2.9`, `OAuth 2.0`, `0.2 s`. A rule of section 24 is cited by its whole number, `24.29`:
"rule 29" is none.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from keyrack.api.core.openapi import config

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs" / "contract"
TEXTS = sorted(CONTRACT.glob("[0-9]*.md"), key=lambda page: int(page.name.partition("-")[0]))
CODE = sorted(path for folder in ("src", "tests", "bench") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([ROOT / "CONTRIBUTING.md", ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")])
ROWS = ("contract", "support", "tenancy")
"""Folders of tests with tables that have sections in their first column; of the pages, these:"""
TABLES = {"CONTRIBUTING.md", "docs/decisions/0006-contract-readings.md", "tests/contract/README.md"}

NUMBER = r"(?<![\w.,/:=<>~^$%-])[0-9]{1,2}(?:\.[0-9]{1,2})?(?![\w%]|\.[0-9]|,[0-9])"
GLUE = r"(?:, and |, | and | to | or |; )(?:sections? |rules? )?"
LIST = rf"{NUMBER}(?:{GLUE}{NUMBER})*"
DEEP = r"[0-9]+(?:\.[0-9]+)*[a-z]?(?: \([0-9]+\))?"
FOREIGN = re.compile(
    r"\b(?:RFC ?[0-9]+(?:bis)?|BCP [0-9]+|OpenAPI|OpenID Connect [A-Z]\w+|Core|Discovery|CSP level [0-9]+|Unicode"
    r"|JSON:API|OAuth|HTTP|License|Python|TLS|[Vv]ersions?|nginx|PgBouncer(?: before)?"
    r"|UI|specification|[Ii]ssues?|[Dd]ecisions?|[Ii]nvariants?)"
    rf"(?:,? (?:{DEEP}[, ]+)?(?:sections?|appendix|decisions?))?[ /]{DEEP}(?:{GLUE}{DEEP})*"
)
MEASURED = re.compile(
    r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?: (?:to|and|or) [0-9]+(?:\.[0-9]+)?)? ?"
    r"(?:ms|s|seconds?|minutes?|times|MB|MiB|KB|KiB|%|of (?:a|one|the) core)(?!\w)"
)
PARTS = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+){2,}")
NAMED = re.compile(rf"\b([Cc]ontract(?:'s)?,? (?:sections? |rules? )?|[Ss]ections? |[Rr]ules? )({LIST})")
BARE = re.compile(LIST)
BEGINS = re.compile(rf"^\W*({LIST})(?=\W*$|[:;,] )")
LABEL = re.compile(rf'^f?"({LIST})(?=: | [a-zA-Z{{])')
IN_BRACKETS = re.compile(r"\(([^()]*)\)")
ROW = re.compile(rf"^\| \[?({LIST})(?= )", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([0-9.]+)"></a>')
HEADING = re.compile(r'^(?:<a id="([0-9.]+)"></a>\n\n)?(##+ ([0-9]+(?:\.[0-9]+)?)\b.*)$', re.MULTILINE)
POINT = re.compile(r'^- (?:<a id="([0-9.]+)"></a>)?\*\*([0-9]+\.[0-9]+)\*\* ', re.MULTILINE)
BLOCKS = re.compile(r"^```.*?^```$|`[^`\n]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)


class Citation(NamedTuple):
    """A section's number, and where it is cited."""

    section: str
    place: str
    line: int


def blank(pattern: re.Pattern[str], text: str) -> str:
    """Put spaces where a pattern matches, so that every position stays what it is."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


class Kind(Enum):
    """What a text is, and so which bare numbers are citations."""

    comment = auto()
    """A comment or docstring: all, also a whole one that it begins with."""
    page = auto()
    """All that have a point."""
    string = auto()
    """Those with a point, in brackets, or before a colon or a word that it begins with."""


def sections(text: str, kind: Kind) -> Iterator[tuple[str, int]]:
    """Find the sections that a text cites, each with its position."""
    flat = re.sub(r"\n\s*#?\s*", lambda found: " " + "\0" * (len(found[0]) - 1), text)
    kept = [at for at, char in enumerate(flat) if char != "\0"]
    text = flat.replace("\0", "")
    for other in (FOREIGN, PARTS, MEASURED):
        text = blank(other, text)
    lists = [(found[2], found.start(2)) for found in NAMED.finditer(text)]
    rules = {start for found in NAMED.finditer(text) if (start := found.start(2)) and "ule" in found[1]}
    text = blank(NAMED, text)
    if kind is Kind.comment:
        lists += [(found[1], found.start(1)) for found in BEGINS.finditer(text)]
        text = blank(BEGINS, text)
    spans = [(0, len(text))]
    if kind is Kind.string:
        spans = [found.span(1) for pattern in (LABEL, IN_BRACKETS) for found in pattern.finditer(text)]
    lists += [
        (found[0], found.start())
        for start, end in spans
        for found in BARE.finditer(text, start, end)
        if "." in found[0]
    ]
    for cited, start in lists:
        for number in re.finditer(NUMBER, cited):
            whole = start in rules and "." not in number[0]
            yield f"rule {number[0]}" if whole else number[0], kept[start + number.start()]


def texts(path: Path) -> Iterator[tuple[str, int, Kind]]:
    """Return the comments and strings of a module, each with its first line and its kind."""
    tokens = [
        each
        for each in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
        if each.type != tokenize.NL
    ]
    rows = path.is_relative_to(ROOT / "tests") and path.relative_to(ROOT / "tests").parts[0] in ROWS
    block: list[str] = []
    began = last = 0
    for at, token in enumerate(tokens):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if block and line == last + 1 and token.line.lstrip().startswith("#"):
                block.append(token.string)
            else:
                yield "\n".join(block), began, Kind.comment
                block, began = [token.string], line
            last = line
        elif rows and re.fullmatch(f'"{NUMBER}"', token.string):
            if (tokens[at - 1].string, tokens[at + 1].string) in {("(", ","), (",", "\n")}:
                yield f"contract {token.string[1:-1]}", line, Kind.string
        elif token.type == tokenize.STRING or "FSTRING_MIDDLE" in tokenize.tok_name[token.type]:
            yield token.string, line, Kind.comment if token.string.startswith('"""') else Kind.string
    yield "\n".join(block), began, Kind.comment


def cited_by_module(path: Path) -> Iterator[Citation]:
    """Find what a module cites."""
    for text, began, kind in texts(path):
        for section, at in sections(text, kind):
            yield Citation(section, name(path), began + text.count("\n", 0, at))


def cited_by_page(path: Path) -> Iterator[Citation]:
    """Find what a page cites."""
    text = blank(BLOCKS, path.read_text("utf-8"))
    if name(path) in TABLES:
        for row in ROW.finditer(text):
            for number in re.finditer(NUMBER, row[1]):
                yield Citation(number[0], name(path), 1 + text.count("\n", 0, row.start(1)))
        text = blank(ROW, text)
    start = 0
    for paragraph in re.split(r"(?<=\n)(?=\n|\|)", text):
        for section, at in sections(paragraph, Kind.page):
            yield Citation(section, name(path), 1 + text.count("\n", 0, start + at))
        start += len(paragraph)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def cited() -> tuple[Citation, ...]:
    """Return all citations of modules and pages; this module's examples are none."""
    modules = (each for path in CODE if path != Path(__file__) for each in cited_by_module(path))
    return (*modules, *(each for path in PAGES for each in cited_by_page(path)))


@cache
def linkable() -> tuple[str, ...]:
    """Return the sections that have an anchor, in their order."""
    return tuple(section for page in TEXTS for section in ANCHOR.findall(page.read_text("utf-8")))


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("# the host (contract 0.7)", Kind.comment, ["0.7"]),
        ("# contract section 9, extension 0.3", Kind.comment, ["9", "0.3"]),
        ("# contract sections 19.4 and 20.2, RFC 6749 section 3.1, 8.9", Kind.comment, ["19.4", "20.2"]),
        ("# what is seen (sections 3, 5 and 6), with 19.4,\n    # 20.1 to 20.4", Kind.comment,
         ["3", "5", "6", "19.4", "20.1", "20.4"]),
        ("# 17, 0.19, 24.25: lagging", Kind.comment, ["17", "0.19", "24.25"]),
        ('"""15."""', Kind.comment, ["15"]),
        ("# 15 of them took 0.25 s", Kind.comment, []),
        ('"""Asked for (contract 0.23, RFC 6749 5.1, 6; issue 8.16)."""', Kind.comment, ["0.23"]),
        ("# OAuth 2.0, JSON:API 1.1, HTTP/1.1, Python 3.11, 4.1.2.1, 1.3 to 1.9 times", Kind.comment, []),
        ("# rules 2 and 24.3", Kind.comment, ["rule 2", "24.3"]),
        ('"extensions (0.6): `pkce`, version 3.5, 9.75"', Kind.string, ["0.6"]),
        ('"8.5, 24.6: it stays, 9.75"', Kind.string, ["8.5", "24.6"]),
        ("as 0.1 wins; 12 of 30", Kind.page, ["0.1"]),
    ],
)  # fmt: skip
def test_citations_are_told_from_other_numbers(text: str, kind: Kind, found: list[str]) -> None:
    assert [section for section, _ in sections(text, kind)] == found


def test_every_section_that_is_cited_exists() -> None:
    assert len(cited()) > 2000
    wrong = [f"{each.place}:{each.line}: {each.section}" for each in cited() if each.section not in linkable()]
    assert wrong == [], "no section of docs/contract/; of another document, say which: `RFC 7009 section 2.1`"


def test_the_page_of_the_api_says_where_the_rules_are() -> None:
    assert f"`{name(CONTRACT / 'README.md')}`" in (config().description or "")


def test_every_section_has_one_anchor_of_its_number_in_order() -> None:
    def order(section: str) -> list[int]:
        return [int(part) for part in section.split(".")]

    assert list(linkable()) == sorted(set(linkable()), key=order)
    assert [each for each in linkable() if "." not in each] == [str(number) for number in range(25)]
    for page in TEXTS:
        text = page.read_text("utf-8")
        headings = HEADING.findall(text)
        without = [title for anchor, title, number in headings if anchor != number]
        assert without == [], f"{name(page)}: put an anchor with the section's number before the heading"
        points = POINT.findall(text)
        assert [point for anchor, point in points if anchor != point] == []
        assert ANCHOR.findall(text) == [number for _, _, number in headings] + [point for _, point in points]


def test_no_point_is_left_out() -> None:
    last: dict[str, int] = {}
    for each in linkable():
        section, _, point = each.partition(".")
        assert int(point or 0) == (last[section] + 1 if point else 0), each
        last[section] = int(point or 0)


def test_the_index_of_the_contract_leads_to_every_section() -> None:
    index = (CONTRACT / "README.md").read_text("utf-8")
    places = {each: page.name for page in TEXTS for each in ANCHOR.findall(page.read_text("utf-8"))}
    assert [each for each, page in places.items() if f"[{each}]({page}#{each})" not in index] == []
