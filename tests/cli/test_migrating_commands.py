"""`keyrack import nango|n8n|vault-oauthapp`, `cutover`, `import undo` and `migrate` as operators run them."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.keyrack_processes import run_command
from support.n8n import KEY, credential, sealed
from support.nango import KEY as NANGO_KEY
from support.nango import connection, encrypted, encrypted_config, lines

TOKENS = ("at-1", "rt-1", "cs-1", KEY, NANGO_KEY)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[str]]:
    """Return the home of an installation, and the options that say where things go."""
    home = tmp_path / "home"
    done = run_command(home, "bootstrap", "--email", "root@example.com", "--json")
    first = json.loads(done.stdout)
    user = first["admin"]["user_id"]
    return home, ["--tenant", first["tenant_id"], "--workspace", first["workspace_id"], "--user", user]


def test_n8n_is_brought_cut_over_and_not_taken_back(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    (home, where), file = made, tmp_path / "n8n.json"
    plain = credential()
    file.write_text(json.dumps([{**plain, "data": sealed(plain["data"])}, credential(2, "httpBasicAuth")]))
    (tmp_path / "key").write_text(f"{KEY}\n")
    words = ["import", "n8n", str(file), *where]
    without = run_command(home, *words, "--dry-run", "--json")
    assert "N8N_ENCRYPTION_KEY" in json.loads(without.stdout)["entries"][0]["why"]
    dry = json.loads(run_command(home, *words, "--key-file", str(tmp_path / "key"), "--dry-run", "--json").stdout)
    assert (dry["dry_run"], dry["batch"], dry["complete"]) == (True, None, True)
    done = run_command(home, *words, "--key-file", str(tmp_path / "key"), "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["counts"] == dry["counts"] == {"auth-client": {"made": 1}, "auth-secret": {"made": 1, "left_out": 1}}
    assert all(token not in done.stdout + done.stderr for token in TOKENS)
    (secret,) = [each["id"] for each in told["entries"] if each["external_id"] == "n8n1"]
    waiting = json.loads(run_command(home, "secrets", "show", secret, "--json").stdout)
    assert waiting["next_refresh_at"] is None
    refused = run_command(home, "secrets", "refresh", secret)
    assert (refused.returncode, "cut over" in refused.stderr) == (1, True)
    batch = told["batch"]["id"]
    (status,) = json.loads(run_command(home, "cutover", "status", "--json").stdout)
    assert (status["id"], status["source"], status["waiting"]) == (batch, "n8n", 1)
    assert json.loads(run_command(home, "cutover", "batch", batch, "--json").stdout) == {"grants": 1}
    assert json.loads(run_command(home, "cutover", "everything", "--json").stdout) == {"grants": 0}
    for late in (["import", "undo", batch], words):
        done = run_command(home, *late)
        assert (done.returncode, "cut over" in done.stderr) == (1, True)
    assert run_command(home, "cutover", "batch", "0" * 24).returncode == 1


def test_nango_is_brought_and_taken_back(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    (home, where), file = made, lines(tmp_path / "n", [encrypted_config(), encrypted(connection())])
    words = ["import", "nango", str(file), *where]
    wrong = run_command(home, *words, NANGO_ENCRYPTION_KEY="short")
    assert (wrong.returncode, "32 bytes" in wrong.stderr) == (1, True)
    done = run_command(home, *words, NANGO_ENCRYPTION_KEY=NANGO_KEY, KEYRACK_QUOTA_OTHER_ROWS="3")
    assert done.returncode == 0, done.stderr
    assert "KEYRACK_QUOTA_OTHER_ROWS" in done.stderr, "brought all the same, and the operator is told"
    assert done.stdout.splitlines()[:2] == ["auth-client: 1 made", "auth-secret: 1 made"]
    assert all(token not in done.stdout + done.stderr for token in TOKENS)
    batch = done.stdout.split()[-1]
    undone = json.loads(run_command(home, "import", "undo", batch, "--json").stdout)
    assert undone == {"deleted": 2, "kept": 0, "gone": 0}
    assert json.loads(run_command(home, "cutover", "status", "--json").stdout) == []
    file.write_text('{"unique_key": "crm"')
    broken = run_command(home, *words, "--json")
    assert (broken.returncode, "object 1" in broken.stderr) == (1, True)
    assert json.loads(broken.stdout)["complete"] is False


def test_oauthapp_is_brought_by_its_names(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    home, where = made
    server = {"client_id": "i", "client_secret": "cs-1", "provider_name": "github"}
    token = {"access_token": "at-1", "refresh_token": "rt-1", "auth_server_name": "hub"}
    rows = [{"path": "servers/hub", "data": server}, {"path": "creds/alice", "data": token}]
    (tmp_path / "names").write_text("hub\nalice\n")
    file = str(lines(tmp_path / "v", rows))
    done = run_command(home, "import", "vault-oauthapp", file, *where, "--names", str(tmp_path / "names"), "--json")
    assert [each["outcome"] for each in json.loads(done.stdout)["entries"]] == ["made", "made"]
    client = json.loads(done.stdout)["entries"][0]["id"]
    assert json.loads(run_command(home, "cutover", "client", client, "--json").stdout) == {"grants": 1}
    assert run_command(home, "cutover", "client", "0" * 24).returncode == 1


def test_variables_of_nobody_make_no_clients(made: tuple[Path, list[str]]) -> None:
    home, _ = made
    done = run_command(home, "migrate", "env-vars", "--apply", "--json")
    assert json.loads(done.stdout) == {"applied": True, "components": []}
    undone = json.loads(run_command(home, "migrate", "env-vars", "--undo", "--json").stdout)
    assert undone == {"applied": False, "components": []}
    assert run_command(home, "migrate", "env-vars", "--tenant", "0" * 24).returncode == 1
