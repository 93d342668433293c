"""What Keyrack writes is its owner's alone, and it does not work in a place that is not (issue 9.11)."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keyrack.errors import ConfigurationError
from keyrack.store.core.private_files import make_private
from keyrack.wiring.storage import open_store
from support.app import World, settings_for
from support.keyrack_processes import bootstrapped, run_command


def open_files(folder: Path) -> list[str]:
    """Return what others than the owner can use, below a folder and the folder itself."""
    found = [folder, *folder.rglob("*")]
    return [f"{path} {path.stat().st_mode:o}" for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_everything_is_private_whatever_the_umask_and_an_open_home_is_refused(tmp_path: Path) -> None:
    home, before = tmp_path / "home", os.umask(0)
    try:
        bootstrapped(home)
        assert open_files(home) == []
        database, file = home / "keyrack.sqlite3", home / "out.json"
        database.chmod(0o644)  # as older versions left it
        assert run_command(home, "export", "platform", str(file)).returncode == 0
        assert open_files(home) == []
    finally:
        os.umask(before)
    for mode in (0o755, 0o770, 0o701):
        home.chmod(mode)
        done = run_command(home, "bootstrap", "--email", "again@example.com")
        assert done.returncode == 1
        said = f"the home folder {home} is open to others (mode {mode:04o}); run: chmod 700 {home}"
        assert done.stderr == f"keyrack: {said}\n"


async def test_companions_of_a_database_are_private_while_it_is_used(keyrack: World) -> None:
    assert (await keyrack.tenants["Acme"].admin.get("/v2/tenants")).status_code == 200  # opens the database
    for name in ("keyrack.sqlite3", "keyrack.sqlite3-wal", "keyrack.sqlite3-shm"):
        path = keyrack.settings.home / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, name


def test_looking_at_a_database_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    make_private(path)
    with sqlite3.connect(path, isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        make_private(path)
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False, timeout=60)
        assert b"database is locked" in other.stderr
    holder.close()


def test_a_database_where_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    settings = settings_for(tmp_path, f"sqlite:///{folder}/a.sqlite3", key="A" * 43 + "=")
    with pytest.raises(ConfigurationError, match="can be written by others; run: chmod go-w"):
        open_store(settings)
    folder.chmod(0o1777)
    open_store(settings)


def test_an_open_home_is_refused_with_any_database(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    settings = settings_for(tmp_path, "postgresql://nobody@127.0.0.1:1/none", key="A" * 43 + "=")
    with pytest.raises(ConfigurationError, match="chmod 700"):
        open_store(settings)
