"""`import keyrack.client` brings nothing of the server, and works where nothing of it is installed."""

import subprocess
import sys
import tomllib
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

import keyrack

SERVER = {
    "aiohttp",
    "alembic",
    "cryptography",
    "httpx",
    "jinja2",
    "litestar",
    "msgspec",
    "sqlalchemy",
    "structlog",
    "typer",
}
NEEDED = ("httpx2", "httpcore2", "h11", "anyio", "idna", "truststore", "typing_extensions")


def test_no_module_of_the_server_is_imported() -> None:
    code = "import sys, keyrack.client; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert SERVER & names == set()
    ours = {name for name in names if name.startswith("keyrack.") and not name.startswith("keyrack.client")}
    assert ours == {"keyrack.crypto", "keyrack.crypto.secret"}


@pytest.fixture
def client_alone(tmp_path: Path) -> Path:
    """The packages of a `pip install --no-deps keyrack` next to httpx2: their folders, in an empty environment."""
    venv.create(tmp_path / "venv", with_pip=False)
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for name in NEEDED:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        about = next(origin.parent.glob(f"{name}-*.dist-info"))
        for each in (origin, about):
            (packages / each.name).symlink_to(each)
    source = Path(keyrack.__file__).parent
    (packages / "keyrack").symlink_to(source)
    info = packages / f"keyrack-{keyrack.__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: keyrack\nVersion: {keyrack.__version__}\n")
    return packages


def run(packages: Path, code: str) -> "subprocess.CompletedProcess[str]":
    python = packages.parents[2] / "bin" / "python"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)


def test_it_works_beside_httpx2_alone(client_alone: Path) -> None:
    code = "import keyrack.client as c; print(c.Keyrack('https://keyrack.example', 'a', 'b'))"
    done = run(client_alone, code)
    assert done.returncode == 0, done.stderr
    (client_alone / "httpx2").unlink()
    assert "pip install 'keyrack[client]'" in run(client_alone, code).stderr


@pytest.mark.parametrize("words", [["keyrack"], ["keyrack", "--version"], ["keyrack", "serve", "--port", "0"]])
def test_its_command_says_what_to_install(client_alone: Path, words: list[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, _, function = project["project"]["scripts"]["keyrack"].partition(":")
    script = f"import sys; sys.argv = {words!r}; from {module} import {function}; sys.exit({function}())"
    for code in (script, f"import runpy, sys; sys.argv = {words!r}; runpy.run_module('keyrack', run_name='__main__')"):
        done = run(client_alone, code)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "keyrack: only the client is installed here; for the command and the server run: pip install keyrack\n"
        )
