"""Commands that need no server do not load one."""

import subprocess
import sys

import pytest

HEAVY = ("sqlalchemy", "litestar", "aiohttp", "alembic", "uvicorn", "prometheus_client", "keyrack.wiring")


@pytest.mark.parametrize("words", [["version"], ["--help"], ["secrets", "--help"], ["settings"]])
def test_no_server_is_loaded(words: list[str]) -> None:
    code = (
        "import sys\nfrom keyrack.cli import app\n"
        f"try:\n    app({words!r}, prog_name='keyrack')\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\nsys.exit(', '.join(loaded) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
