"""The threat model names, for every defence, a test that proves it, and the test is there (issue 15.6)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threat-model.md"
PROOF = re.compile(r"`(tests/[\w./*-]*)(?:::(\w+))?`")
PROVING = {"proved by", "test"}
"""Titles of the last column of a table whose rows name tests."""


def rows() -> list[tuple[str, str]]:
    """Return the first and the last cell of every row of a table that names tests."""
    found: list[tuple[str, str]] = []
    proving = False
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            proving = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[-1].strip("| ") in PROVING:
            proving = True
        elif proving and not line.startswith("|---"):
            found.append((cells[0], cells[-1]))
    return found


ROWS = rows()


def test_the_tables_are_read() -> None:
    assert len(ROWS) > 110
    assert len({who for who, _ in ROWS}) > 90


@pytest.mark.parametrize(("who", "proof"), ROWS, ids=lambda text: text[:50])
def test_each_defence_names_a_test_that_exists(who: str, proof: str) -> None:
    named = PROOF.findall(proof)
    assert named, f"{who}: name a test in the last column"
    for path, test in named:
        files = [file for file in ROOT.glob(path.rstrip("/")) if file.exists()]
        assert files, path
        tests = [each for file in files for each in ([file] if file.is_file() else file.rglob("test_*.py"))]
        assert any(re.search(r"^(async )?def test_", each.read_text("utf-8"), re.MULTILINE) for each in tests), path
        if test:
            assert re.search(rf"^(async )?def {test}\(", files[0].read_text("utf-8"), re.MULTILINE), f"{path}::{test}"


def test_every_attack_is_named() -> None:
    """A test of the attack suite that no row names proves something that nobody has written down."""
    named = {path for _, proof in ROWS for path, _ in PROOF.findall(proof)}
    attacks = {f"tests/attack/{file.name}" for file in (ROOT / "tests" / "attack").glob("test_*.py")}
    assert attacks <= named
