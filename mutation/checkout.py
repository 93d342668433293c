"""A copy of the checkout, for faults to be put into: the checkout itself stays as it is, however a run ends."""

import ast
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PACKAGE = "src/keyrack"
_LEFT_OUT = (".git", ".venv*", ".*cache*", ".hypothesis", "__pycache__", "node_modules", "build", "dist", "*.egg-info")
"""What is made from the checkout, and made again where it is needed."""


@contextmanager
def copied(sources: Sequence[str], settings: Mapping[str, str | list[str]]) -> Iterator[Path]:
    """Copy the checkout as it is now, and delete the copy in the end.

    Args:
        sources: folders below `src/keyrack` that faults are put into.
        settings: of mutmut, beside those that say where its files are.
    """
    # The longest name in it is that of PostgreSQL's socket, which has room for about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="keyrack-mutate-") as folder:
        root = Path(folder) / "copy"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        for path in (Path(folder), Path(folder) / "tmp", root):
            path.mkdir(exist_ok=True)
            path.chmod(0o711)  # PostgreSQL runs as another user where the tests run as root
        mutated = [path for source in sources for path in (root / _PACKAGE / source).rglob("*.py")]
        for path in mutated:
            path.write_text(undecorated(path.read_text("utf-8")), "utf-8")
        where = {
            "source_paths": ["src"],
            "only_mutate": [str(path.relative_to(root)) for path in mutated],
            "also_copy": sorted(path.name for path in root.iterdir() if path.name != "src"),
        }
        with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write("\n[tool.mutmut]\nuse_git_change_detection = false\n")
            file.writelines(f"{name} = {_toml(value)}\n" for name, value in {**settings, **where}.items())
        yield root


def undecorated(source: str) -> str:
    """Return the same code with decorators written as calls, because mutmut leaves decorated functions alone.

    `@asynccontextmanager`, `@property` and the like become `name = property(name)` after the function. `@cache` goes:
    what was remembered of the run without a fault would hide it. Decorators that take arguments stay, and with them
    their functions stay as they are.
    """
    lines = source.splitlines()
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in sorted(functions, key=lambda node: node.lineno, reverse=True):
        names = [decorator.id for decorator in function.decorator_list if isinstance(decorator, ast.Name)]
        if not names or len(names) != len(function.decorator_list) or set(names) & {"staticmethod", "classmethod"}:
            continue
        assert function.end_lineno is not None
        kept = [name for name in reversed(names) if name != "cache"]
        calls = [f"{' ' * function.col_offset}{function.name} = {name}({function.name})" for name in kept]
        lines[function.end_lineno : function.end_lineno] = calls
        del lines[function.lineno - 1 - len(names) : function.lineno - 1]
    return "\n".join(lines) + "\n"


def _toml(value: str | list[str]) -> str:
    """Return a value as TOML writes it; texts are literal ones, so that patterns need no escaping."""
    if isinstance(value, str):
        return value
    texts = ", ".join(f"'{each}'" for each in value)
    return f"[{texts}]"
