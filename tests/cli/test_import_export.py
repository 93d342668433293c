"""`keyrack import platform` and `keyrack export platform` as operators run them (issue 4.8)."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from support.keyrack_processes import command_environment, run_command
from support.platform import CANARY, identifier, platform_file

_MANY = 4000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    done = run_command(tmp_path / "home", "bootstrap", "--email", "root@example.com", "--json")
    assert done.returncode == 0, done.stderr
    return tmp_path / "home"


def written(folder: Path, file: dict[str, Any], name: str = "platform.json") -> str:
    path = folder / name
    path.write_text(json.dumps(file))
    return str(path)


def audited(home: Path, *words: str) -> list[str]:
    return [event["action"] for event in json.loads(run_command(home, "audit", "list", *words, "--json").stdout)]


def test_an_import_tells_what_it_did_and_can_be_run_again(home: Path, tmp_path: Path) -> None:
    path = written(tmp_path, platform_file())
    first = run_command(home, "import", "platform", path, "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["imported"] is True
    assert told["records"]["users"] == {"created": 2, "updated": 0, "unchanged": 0}
    assert "writing users: 2 of 2" in first.stderr
    assert "warning" not in first.stderr
    second = run_command(home, "import", "platform", path, KEYRACK_QUOTA_OTHER_ROWS="1")
    assert second.returncode == 0, second.stderr
    assert "users: 2 unchanged" in second.stdout
    assert f"tenant {identifier('tenant')} is over its quota" in second.stderr
    assert "created" not in second.stdout
    assert audited(home).count("platform.import") == 2
    assert audited(home, "--tenant", identifier("tenant")).count("tenant.import") == 2


def test_problems_have_pointers_and_show_nothing_secret(home: Path, tmp_path: Path) -> None:
    file = platform_file()
    file["auth_clients"][0]["attributes"]["credentials"]["token_uri"] = f"https://10.0.0.1/{CANARY}"
    file["auth_secrets"][0]["attributes"]["credentials"] |= {"refresh_token": [CANARY], "expires_in": CANARY}
    file["components"][0]["meta"]["env"] = {f"{CANARY}!": CANARY}
    file["users"][0]["meta"]["api_keys"][0]["key_hash"] = CANARY
    file["credentials"][0]["attributes"]["keys"] = CANARY
    path = written(tmp_path, file)
    for words in ((), ("--json",)):
        done = run_command(home, "import", "platform", path, *words)
        assert done.returncode == 1
        assert CANARY not in done.stdout + done.stderr
        assert "problem: /auth_secrets/0/attributes/credentials/refresh_token: " in done.stderr
    problems = {problem["pointer"] for problem in json.loads(done.stdout)["problems"]}
    assert problems == {
        "/auth_clients/0/attributes/credentials/token_uri",
        "/auth_secrets/0/attributes/credentials/refresh_token",
        "/auth_secrets/0/attributes/credentials/expires_in",
        "/components/0/meta/env",
        "/users/0/meta/api_keys/0/key_hash",
        "/credentials/0/attributes/keys",
    }
    assert "platform.import" in audited(home)
    assert (
        json.loads(run_command(home, "users", "list", "--tenant", identifier("tenant"), "--json").stdout or "[]") == []
    )


_HEAD = '{"format": "keyrack-platform", "version": 1'


@pytest.fixture(scope="module")
def home_to_read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for all tests that change nothing."""
    folder = tmp_path_factory.mktemp("read") / "home"
    assert run_command(folder, "bootstrap", "--email", "root@example.com", "--json").returncode == 0
    return folder


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"format": "keyrack-platform", "version": 2}',
        '{"format": "keyrack-platform", "version": true}',
        f'{_HEAD}, "users": {{}}}}',
        f'{_HEAD}, "tenant": []}}',
        f'{_HEAD}, "users": [1, null, {{"id": "\\ud800"}}]}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_file_of_this_format_is_refused(home_to_read: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    done = run_command(home_to_read, "import", "platform", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "nothing was imported" in done.stderr


def test_a_wrong_key_an_old_schema_and_an_empty_database_are_refused(home: Path, tmp_path: Path) -> None:
    path = written(tmp_path, platform_file())
    other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    wrong = run_command(home, "import", "platform", path, KEYRACK_KEY=other)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "key-encryption key" in wrong.stderr
    empty = run_command(tmp_path / "empty", "import", "platform", path)
    assert (empty.returncode, empty.stdout) == (1, "")
    with sqlite3.connect(home / "keyrack.sqlite3") as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    database.close()
    old = run_command(home, "import", "platform", path)
    assert (old.returncode, old.stdout) == (1, "")
    assert "out of date" in old.stderr
    missing = run_command(home, "import", "platform", str(tmp_path / "missing.json"))
    assert missing.returncode == 1
    assert "missing.json" in missing.stderr


def test_an_import_that_is_killed_leaves_nothing_and_can_be_run_again(home: Path, tmp_path: Path) -> None:
    file = platform_file()
    one = file["auth_secrets"][0]
    file["auth_secrets"] = [{**one, "id": identifier("auth-secret", number)} for number in range(1, _MANY + 1)]
    path = written(tmp_path, file)
    words, environ = [sys.executable, "-m", "keyrack", "import", "platform", path], command_environment(home)
    process = subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("writing credentials"):  # secrets are next, and many
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert "there is no such tenant" in run_command(home, "audit", "list", "--tenant", identifier("tenant")).stderr
    again = run_command(home, "import", "platform", path, "--json")
    assert again.returncode == 0, again.stderr
    records = json.loads(again.stdout)["records"]
    assert all(counts["updated"] == counts["unchanged"] == 0 for counts in records.values()), records
    assert records["auth_secrets"]["created"] == _MANY


def test_secrets_are_exported_to_recipients_only(home: Path, tmp_path: Path) -> None:
    assert run_command(home, "import", "platform", written(tmp_path, platform_file())).returncode == 0
    mine, yours = x25519.Identity.generate(), x25519.Identity.generate()
    target = tmp_path / "platform.age"
    words = ["export", "platform", str(target), "--with-secrets", "--tenant", identifier("tenant")]
    refused = run_command(home, *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert not target.exists()
    done = run_command(
        home, *words, "--recipient", str(mine.to_public()), "--recipient", str(yours.to_public()), "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["users"] == 2
    assert CANARY.encode() not in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert "platform.export-with-secrets" in audited(home)
    (tmp_path / "other.txt").write_text(f"{x25519.Identity.generate()}\n")
    (tmp_path / "yours.txt").write_text(f"# made today\n{yours}\n")
    for more in ((), ("--identity", str(tmp_path / "other.txt"))):
        denied = run_command(home, "import", "platform", str(target), *more)
        assert (denied.returncode, denied.stdout) == (1, "")
    again = run_command(home, "import", "platform", str(target), "--identity", str(tmp_path / "yours.txt"))
    assert again.returncode == 0, again.stderr
    assert "auth_secrets: 1 unchanged" in again.stdout


def test_a_report_shows_no_value_of_the_file(home: Path, tmp_path: Path) -> None:
    file = platform_file()
    file["auth_secrets"][0]["attributes"]["state"] = CANARY
    file["workspaces"][0]["attributes"]["type"] = CANARY
    done = run_command(home, "import", "platform", written(tmp_path, file))
    assert done.returncode == 1
    assert "/auth_secrets/0/attributes/state: must be one of ready, error" in done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_an_export_that_cannot_be_written_leaves_no_file(postgres_url: str, tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "platform.json"
    done = run_command(home, "bootstrap", "--email", "root@example.com", KEYRACK_DATABASE_URL=postgres_url)
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole.json"
    assert run_command(home, "export", "platform", str(whole), KEYRACK_DATABASE_URL=postgres_url).returncode == 0
    for room in (16, whole.stat().st_size - 1):
        full = run_command(home, "export", "platform", str(target), file_size=room, KEYRACK_DATABASE_URL=postgres_url)
        assert full.returncode == 1, room
        assert not target.exists(), room
        assert "Traceback" not in full.stderr


def test_a_whole_installation_moves_into_a_fresh_one_whose_first_accounts_have_other_names(
    home: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "all.age")
    identity = x25519.Identity.generate()
    (tmp_path / "identity.txt").write_text(f"{identity}\n")
    words = ("export", "platform", path, "--with-secrets", "--recipient", str(identity.to_public()))
    assert run_command(home, *words).returncode == 0
    read = ("import", "platform", path, "--identity", str(tmp_path / "identity.txt"))
    others = ("--email", "new@example.com", "--app-domain", "new.localhost", "--json")
    assert run_command(tmp_path / "same", "bootstrap", *others).returncode == 0
    refused = run_command(tmp_path / "same", *read)
    assert refused.returncode == 1
    assert "problem: /teams/0/attributes/name: a stored team has this name\n" in refused.stderr
    assert "keyrack: nothing was imported: 1 problem\n" in refused.stderr
    assert run_command(tmp_path / "other", "bootstrap", *others, "--team-name", "new").returncode == 0
    taken = run_command(tmp_path / "other", *read)
    assert taken.returncode == 0, taken.stderr
    assert "teams: 1 created" in taken.stdout
