"""Migrations only add, or say which is the oldest program that works on what they leave (decision 50)."""

import ast
from pathlib import Path

import pytest

from keyrack.store import migrations, schema_revision

VERSIONS = Path(migrations.__file__).parent / "versions"
_TAKE_AWAY = {
    "alter_column", "batch_alter_table", "drop_column", "drop_constraint", "drop_table", "rename_table",
    "create_check_constraint", "create_foreign_key", "create_primary_key", "create_unique_constraint",
}  # fmt: skip


def takes_away(source: str) -> list[str]:
    """Return the operations of a migration's `upgrade` that programs from before it may stumble over."""
    (upgrade,) = (
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    found = []
    for node in ast.walk(upgrade):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = node.func.attr
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        narrowing_column = (
            name == "Column"
            and _in(upgrade, node, "add_column")
            and (given.get("nullable") == "False" and "server_default" not in given)
        )
        unique_index = name == "create_index" and given.get("unique") == "True" and not _of_a_new_table(upgrade, node)
        if name in _TAKE_AWAY or narrowing_column or unique_index:
            found.append(name)
    return found


def _in(upgrade: ast.FunctionDef, inner: ast.Call, name: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and inner in ast.walk(node)
        for node in ast.walk(upgrade)
    )


def _of_a_new_table(upgrade: ast.FunctionDef, index: ast.Call) -> bool:
    table = index.args[1]
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_table"
        and ast.dump(node.args[0]) == ast.dump(table)
        for node in ast.walk(upgrade)
    )


FIRST = min(path.stem[1:5] for path in VERSIONS.glob("m[0-9]*.py") if "\noldest_program = " in path.read_text())
"""The first whose programs look at the table."""


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("m[0-9]*.py")), ids=lambda path: path.stem)
def test_a_migration_adds_or_says_who_still_works(path: Path) -> None:
    if path.stem[1:5] <= FIRST:
        return
    source = path.read_text()
    assert not takes_away(source) or "\noldest_program = " in source, takes_away(source)


def test_who_reads_the_table_is_known() -> None:
    (path,) = VERSIONS.glob(f"m{FIRST}_schema_compatibility.py")
    assert FIRST in schema_revision.known()
    assert f'\noldest_program = "{FIRST}"' in path.read_text()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ('op.add_column("t", sa.Column("a", sa.Text(), nullable=True))', []),
        ('op.add_column("t", sa.Column("a", sa.Text(), nullable=False, server_default="x"))', []),
        ('op.add_column("t", sa.Column("a", sa.Text(), nullable=False))', ["Column"]),
        ('op.create_table("t", sa.Column("a", sa.Text(), nullable=False))', []),
        ('op.drop_column("t", "a")', ["drop_column"]),
        ('op.alter_column("t", "a", nullable=False)', ["alter_column"]),
        ('op.create_index("i", "t", ["a"])', []),
        ('op.create_index("i", "t", ["a"], unique=True)', ["create_index"]),
        ('op.create_table("t"); op.create_index("i", "t", ["a"], unique=True)', []),
    ],
)
def test_what_takes_away_is_told_from_what_adds(statement: str, found: list[str]) -> None:
    assert takes_away(f"def upgrade():\n    {statement}\n") == found
