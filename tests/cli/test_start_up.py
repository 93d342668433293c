"""Commands that need no server do not load one, and a server loads nothing that it has no use for."""

import os
import subprocess
import sys
from pathlib import Path

from support.keyrack_processes import bootstrapped, command_environment, run_command
from support.process import free_port, guarded, wait_for

HEAVY = ("sqlalchemy", "litestar", "aiohttp", "alembic", "uvicorn", "prometheus_client", "keyrack.wiring")
HTTP = ("litestar", "aiohttp", "uvicorn", "keyrack.api", "keyrack.wiring.services", "keyrack.wiring.http")
UNUSED_BY_SERVERS = ("alembic", "mako", "polyfactory", "faker", "keyrack.simulator", "keyrack.demo.play")
"""Installed with what Keyrack needs or a part of it, but of no use to a server: seconds to start, and memory."""


def test_no_server_is_loaded() -> None:
    words = [["version"], ["--version"], ["--help"], ["secrets", "--help"], ["settings"], ["permissions", "list"]]
    assert loaded_by(words, HEAVY, {}) == [""] * len(words)


def test_neither_server_nor_database_is_loaded_to_lint(tmp_path: Path) -> None:
    file = tmp_path / "component.json"
    file.write_text('{"title": "Timer"}')
    nowhere = {
        **os.environ,
        "KEYRACK_HOME": str(tmp_path / "nowhere"),
        "KEYRACK_DATABASE_URL": "postgresql://[::1]:1/x",
    }
    names = (*HEAVY, "asyncpg", "sqlite3", "keyrack.store", "keyrack.service.authz", "keyrack.api")
    assert loaded_by([["components", "lint", str(file)]], names, nowhere) == [""]


def test_no_http_is_loaded_where_a_command_needs_only_the_database(tmp_path: Path) -> None:
    home, file = tmp_path / "home", str(tmp_path / "moved.json")
    tenant = bootstrapped(home)["tenant_id"]
    assert run_command(home, "export", "platform", file).returncode == 0
    words = [
        ["db", "upgrade"],
        ["users", "list", "--tenant", tenant],
        ["audit", "list", "--since", "1h"],
        ["tenants", "list"],
        ["service-accounts", "list"],
        ["quotas"],
        ["export", "platform", file + ".again"],
        ["import", "platform", file],
    ]
    assert loaded_by(words, HTTP, command_environment(home)) == [""] * len(words)


def test_a_server_loads_nothing_it_has_no_use_for(tmp_path: Path) -> None:
    home, names, port = tmp_path / "home", tmp_path / "loaded", free_port()
    bootstrapped(home)
    code = (
        "import atexit, pathlib, sys\nfrom keyrack.cli import main\n"
        f"atexit.register(lambda: pathlib.Path({str(names)!r}).write_text(' '.join(sys.modules)))\n"
        f"sys.argv[1:] = ['serve', '--port', '{port}']\nmain()\n"
    )
    with guarded([sys.executable, "-c", code], {**os.environ, **command_environment(home)}) as server:
        wait_for(f"http://127.0.0.1:{port}/readyz", server)
    loaded = names.read_text().split()
    assert "keyrack.wiring.http" in loaded
    assert [name for name in UNUSED_BY_SERVERS if name in loaded] == []


def loaded_by(commands: list[list[str]], names: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """Run commands in a process, all of which must succeed; return which of some modules were loaded after each."""
    code = (
        "import sys\nfrom keyrack.cli import app\n"
        f"for words in {commands!r}:\n"
        "    try:\n        app(words, prog_name='keyrack')\n"
        "    except SystemExit as end:\n        assert not end.code, end.code\n"
        f"    print('loaded:', *[name for name in {names!r} if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment or None, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("loaded:")]
    return [line.removeprefix("loaded:").strip() for line in said]
