"""Commands that need no server do not load one."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.keyrack_processes import bootstrapped, command_environment, run_command

HEAVY = ("sqlalchemy", "litestar", "aiohttp", "alembic", "uvicorn", "prometheus_client", "keyrack.wiring")
HTTP = ("litestar", "aiohttp", "uvicorn", "keyrack.api", "keyrack.wiring.services", "keyrack.wiring.http")


@pytest.mark.parametrize("words", [["version"], ["--help"], ["secrets", "--help"], ["settings"]])
def test_no_server_is_loaded(words: list[str]) -> None:
    assert loaded_by(words, HEAVY, {}) == ""


def test_no_http_is_loaded_where_a_command_needs_only_the_database(tmp_path: Path) -> None:
    home, file = tmp_path / "home", str(tmp_path / "moved.json")
    tenant = bootstrapped(home)["tenant_id"]
    assert run_command(home, "export", "platform", file).returncode == 0
    for words in (
        ["db", "upgrade"],
        ["users", "list", "--tenant", tenant],
        ["audit", "list"],
        ["quotas"],
        ["export", "platform", file + ".again"],
        ["import", "platform", file],
    ):
        assert loaded_by(words, HTTP, command_environment(home)) == "", words


def loaded_by(words: list[str], names: tuple[str, ...], environment: dict[str, str]) -> str:
    """Run a command that must succeed; return which of some modules it has imported."""
    code = (
        "import sys\nfrom keyrack.cli import app\n"
        f"try:\n    app({words!r}, prog_name='keyrack')\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('loaded:', *[name for name in {names!r} if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment or None, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("loaded:").strip()
