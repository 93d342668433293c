"""`keyrack audit export`, `verify`, `chains`, `keys` and `rotate-key`, on an installation as it comes."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.keyrack_processes import bootstrapped, run_command


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audit-chain") / "home"
    bootstrapped(made)
    return made


def printed(home: Path, *words: str) -> Any:
    done = run_command(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_log_is_exported_and_verified_elsewhere(home: Path, tmp_path: Path) -> None:
    tenant = printed(home, "tenants", "list")[0]["tenant_id"]
    (key,) = printed(home, "audit", "keys")
    file, nowhere = tmp_path / "log.jsonl", tmp_path / "another machine"
    assert run_command(home, "audit", "export", "--tenant", tenant, str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    done = run_command(nowhere, "audit", "verify", str(file), "--key", key["public_key"], "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["tenant_id"], told["key"], told["key_was_given"]) == (tenant, key["id"], True)
    assert not nowhere.exists()
    entries = [record for line in file.read_text().splitlines() if (record := json.loads(line))["type"] == "entry"]
    assert len(entries) == told["last_entry"]
    assert (entries[-1]["action"], entries[-1]["actor"]) == ("audit-log.export", "command line")
    assert run_command(home, "audit", "export", "--tenant", tenant, str(file)).returncode == 1, "it is there already"
    (chain,) = printed(home, "audit", "chains", "--tenant", tenant)
    assert (chain["entries_until"], chain["genuine"], chain["waiting"]) == (told["last_entry"], True, 0)
    changed = file.read_text().replace('"installation.bootstrap"', '"installation.bootstrop"')
    file.write_text(changed)
    done = run_command(nowhere, "audit", "verify", str(file), "--key", key["public_key"])
    assert done.returncode == 1
    assert "entry 1 (" in done.stderr
    assert "was changed" in done.stderr


def test_the_installations_own_log_and_a_new_key(home: Path, tmp_path: Path) -> None:
    (old,) = printed(home, "audit", "keys")
    new = printed(home, "audit", "rotate-key")
    keys = printed(home, "audit", "keys")
    assert [each["id"] for each in keys] == [old["id"], new["id"]]
    assert [each["until"] is None for each in keys] == [False, True]
    done = run_command(home, "audit", "export", "-")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "log.jsonl"
    file.write_text(done.stdout)
    assert run_command(tmp_path, "audit", "verify", str(file), "--key", new["public_key"]).returncode == 0
    assert '"audit-key.rotate"' in done.stdout
    told = run_command(tmp_path, "audit", "verify", str(file), "--key", old["public_key"])
    assert told.returncode == 1
    assert f"signed with the key {new['id']}" in told.stderr


def test_what_cannot_be_done_is_one_line(home: Path, tmp_path: Path) -> None:
    for words in (
        ("export", "--tenant", "0" * 24, str(tmp_path / "none.jsonl")),
        ("export", str(tmp_path / "no folder" / "file")),
        ("verify", str(tmp_path / "nothing")),
        ("verify", str(tmp_path / "nothing"), "--key", "hello"),
        ("verify", str(tmp_path / "nothing"), "--key", "z" * 64),
    ):
        done = run_command(home, "audit", *words)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert done.stderr.startswith("keyrack: ")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "none.jsonl").exists(), "nothing is left of an export that failed"
