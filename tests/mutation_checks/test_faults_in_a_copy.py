"""Faults are put into a copy of the checkout, also into decorated functions, and the same ones for the same seed."""

import ast
import tomllib
from pathlib import Path

import pytest

from mutation.checkout import ROOT, copied, undecorated

SOURCE = '''
class Room:
    """A room."""

    @property
    def size(self) -> int:
        """Return it."""
        return 1

    @asynccontextmanager
    async def open(
        self, way: str
    ) -> AsyncIterator[int]:
        yield 1

    @staticmethod
    def plain() -> int:
        return 2

    @compiles(size, "sqlite")
    def told(self) -> int:
        return 3


@cache
def _named(pid: int) -> str:
    return str(pid)
'''


def decorators(source: str) -> dict[str, list[str]]:
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {node.name: [ast.unparse(decorator) for decorator in node.decorator_list] for node in functions}


def test_decorators_are_written_as_calls_and_others_stay() -> None:
    found = undecorated(SOURCE)
    assert decorators(found) == {
        "size": [],
        "open": [],
        "plain": ["staticmethod"],
        "told": ["compiles(size, 'sqlite')"],
        "_named": [],
    }
    lines = found.splitlines()
    assert lines[lines.index("        return 1") + 1] == "    size = property(size)"
    assert lines[lines.index("        yield 1") + 1] == "    open = asynccontextmanager(open)"
    assert lines[-1] == "    return str(pid)", "what is remembered would hide a fault"


@pytest.mark.parametrize("path", sorted((ROOT / "src/keyrack/store/core").glob("*.py")), ids=lambda path: path.name)
def test_what_is_written_so_is_the_same_program(path: Path) -> None:
    source = path.read_text("utf-8")
    before, after = decorators(source), decorators(undecorated(source))
    assert before.keys() == after.keys()
    assert all(set(after[name]) <= set(before[name]) for name in before)


def test_a_copy_is_configured_and_gone_in_the_end_and_the_checkout_untouched() -> None:
    before = (ROOT / "src/keyrack/store/core/store.py").read_bytes()
    with copied(["store/core"], {"timeout_constant": "2.0", "do_not_mutate_patterns": [r"\blog\."]}) as copy:
        with (copy / "pyproject.toml").open("rb") as file:
            told = tomllib.load(file)["tool"]["mutmut"]
        assert told["timeout_constant"] == 2.0
        assert told["do_not_mutate_patterns"] == [r"\blog\."]
        assert "src/keyrack/store/core/store.py" in told["only_mutate"]
        assert {"tests", "pyproject.toml", "README.md"} <= set(told["also_copy"])
        assert "@property" not in (copy / "src/keyrack/store/core/store.py").read_text("utf-8")
    assert not copy.exists()
    assert (ROOT / "src/keyrack/store/core/store.py").read_bytes() == before


def test_every_room_names_sources_and_tests_that_are_there() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        rooms = tomllib.load(file)["tool"]["mutation"]["rooms"]
    assert list(rooms) == ["oauth", "crypto", "authz", "store", "refresh"]
    for room in rooms.values():
        assert all((ROOT / "src/keyrack" / source).is_dir() for source in room["sources"])
        assert all((ROOT / path).exists() for path in room["tests"] if path.startswith("tests/"))
