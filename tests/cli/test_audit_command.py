"""`keyrack audit list`: newest first, filtered, of tenants that are gone too, and followed until Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.keyrack_processes import Replica, bootstrapped, command_environment, run_command

ID = re.compile(r"\b[0-9a-f]{24}\b")
SECONDS = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audit") / "home"
    first = bootstrapped(made)
    for name in ("ida", "ada"):
        run_command(made, "users", "create", "--email", f"{name}@example.com", "--tenant", first["tenant_id"])
    run_command(made, "service-accounts", "create", "--name", "runner", "--permission", "global.runtime_env.get")
    return made


def printed(home: Path, *words: str) -> Any:
    """Return what a command prints as JSON."""
    done = run_command(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_audit_log_is_newest_first_and_filtered(home: Path) -> None:
    tenant = ["--tenant", printed(home, "tenants", "list")[0]["tenant_id"]]
    events = printed(home, "audit", "list", *tenant)
    assert [event["at"] for event in events] == sorted((event["at"] for event in events), reverse=True)
    assert events[-1]["action"] == "installation.bootstrap"
    assert events[0]["action"] == "user.create"
    assert printed(home, "audit", "list", *tenant, "--limit", "1") == events[:1]
    for words, expected in (
        (["--action", "user.create"], [event for event in events if event["action"] == "user.create"]),
        (["--target", events[0]["target_id"]], events[:1]),
        (["--actor", "command line"], events),
        (["--actor", "nobody"], []),
        (["--outcome", "denied"], []),
        (["--outcome", "allowed", "--action", "user.create", "--limit", "1"], events[:1]),
        (["--since", "1h"], events),
        (["--since", "999999w"], events),
        (["--since", events[0]["at"]], events[:1]),
        (["--since", "2999-01-01T00:00:00+01:00"], []),
        (["--since", "0s"], []),
    ):
        assert printed(home, "audit", "list", *tenant, *words) == expected, words
    of_installation = printed(home, "audit", "list")
    assert {event["action"] for event in of_installation} == {"service-account.create", "api-key.create"}
    for wrong in ("yesterday", "2h30m", "-1h", "2026-01-31", "1 h", ""):
        done = run_command(home, "audit", "list", f"--since={wrong}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("keyrack: --since must be a duration such as 2h or 7d, or a time such as"), wrong


def test_the_log_of_a_tenant_that_is_gone_can_still_be_read(tmp_path: Path) -> None:
    made = bootstrapped(tmp_path / "home")
    code = (
        "import asyncio\nfrom keyrack.settings import load_settings\nfrom keyrack.wiring.storage import open_store\n"
        "from keyrack.store.tenants import TenantRows\n"
        "async def gone():\n    store = open_store(load_settings())\n"
        "    async with store.installation(writes=True) as unit:\n"
        f"        await TenantRows(unit).remove('{made['tenant_id']}')\n    await store.close()\nasyncio.run(gone())\n"
    )
    environment = command_environment(tmp_path / "home")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=SECONDS)
    events = printed(tmp_path / "home", "audit", "list", "--tenant", made["tenant_id"])
    assert [event["action"] for event in events] == ["installation.bootstrap"]
    assert printed(tmp_path / "home", "tenants", "list") == []


@contextmanager
def following(home: Path, log: Path, *words: str) -> Iterator[Replica]:
    process = Replica(["audit", "list", "--follow", *words], command_environment(home), log)
    try:
        yield process
    finally:
        process.kill()


def until(log: Replica, pattern: str) -> str:
    deadline = time.monotonic() + SECONDS
    while not re.search(pattern, log.log()):
        assert log.is_running(), log.log()
        assert time.monotonic() < deadline, log.log()
        time.sleep(0.05)
    return log.log()


def test_following_shows_each_new_entry_once_until_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = bootstrapped(home)
    tenant = ["--tenant", made["tenant_id"]]
    for number in range(12):
        run_command(home, "users", "create", "--email", f"old{number}@example.com", *tenant)
    with (
        following(home, tmp_path / "text", *tenant) as text,
        following(home, tmp_path / "json", *tenant, "--json", "--limit", "1", "--action", "user.create") as lines,
    ):
        begun = until(text, r"\n(.*user\.create.*\n){10}")
        assert begun.count("user.create") == 10, "the newest ten to begin with"
        until(lines, r"user\.create")
        new = [
            printed(home, "users", "create", "--email", f"new{number}@example.com", *tenant)["user_id"]
            for number in range(3)
        ]
        run_command(home, "api-keys", "create", "--user", "new0@example.com")
        shown = until(text, r"api-key\.create").splitlines()
        until(lines, new[-1])
        for process in (text, lines):
            os.kill(process.pid, signal.SIGINT)
            deadline = time.monotonic() + SECONDS
            while process.is_running():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert process.stop() == 0
    assert shown[0].split()[:3] == ["at", "actor", "action"]
    targets = [ID.findall(row)[0] for row in shown[1:]]
    assert targets[10:13] == new
    assert len(targets) == len(set(targets)) == 14
    assert [row.index("user.create") for row in shown[1:14]] == [shown[0].index("action")] * 13
    told = [json.loads(line) for line in lines.log().splitlines()]
    assert [event["target_id"] for event in told] == [targets[9], *new]
