"""What an operator lists, shows and changes on the command line: whole ids, a row a line, errors in one line."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from keyrack import __version__
from keyrack.cli import app
from keyrack.cli.tables import Table
from keyrack.service.authz.permissions import ALL, LISTED
from support.keyrack_processes import bootstrapped, command_environment, run_command

ID_OR_TIME = re.compile(r"\b[0-9a-f]{24}\b|\b\d{4}-\d\d-\d\dT[\d:.]+Z")
UNKNOWN = "0" * 24
SECONDS = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with some of everything that commands list; nothing is changed in it."""
    made = tmp_path_factory.mktemp("operator") / "home"
    first = bootstrapped(made)
    (made / "first.json").write_text(json.dumps(first))
    tenant = ["--tenant", first["tenant_id"]]
    for name in ("ida", "a.rather.long.name.of.somebody.who.works.far.away.from.here"):
        run_command(made, "users", "create", "--email", f"{name}@example.com", *tenant)
    run_command(made, "service-accounts", "create", "--name", "runner", "--permission", "global.runtime_env.get")
    return made


def first(home: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((home / "first.json").read_text())
    return made


def printed(home: Path, *words: str) -> Any:
    """Return what a command prints as JSON."""
    done = run_command(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lists(home: Path) -> dict[str, list[str]]:
    tenant = first(home)["tenant_id"]
    return {
        "users list": ["users", "list", "--tenant", tenant],
        "api-keys list": ["api-keys", "list", "--user", "root@example.com"],
        "service-accounts list": ["service-accounts", "list"],
        "tenants list": ["tenants", "list"],
        "permissions list": ["permissions", "list"],
        "quotas": ["quotas"],
        "audit list": ["audit", "list", "--tenant", tenant],
        "settings": ["settings"],
    }


def on_a_terminal(home: Path, columns: int, *words: str) -> list[str]:
    """Run a command on a terminal of a width; return the lines it prints."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in command_environment(home).items() if name not in {"COLUMNS", "LINES"}}
    command = [sys.executable, "-m", "keyrack", *words]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            text += chunk
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    assert process.wait(SECONDS) == 0, text
    return text.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize(
    "name", ["users list", "api-keys list", "service-accounts list", "tenants list", "quotas", "audit list"]
)
def test_no_id_and_no_time_is_cut_or_folded(home: Path, name: str) -> None:
    words = lists(home)[name]
    whole = set(ID_OR_TIME.findall(json.dumps(printed(home, *words))))
    assert whole
    narrow, piped = on_a_terminal(home, 80, *words), run_command(home, *words).stdout.splitlines()
    assert set(ID_OR_TIME.findall("\n".join(narrow))) == set(ID_OR_TIME.findall("\n".join(piped))) <= whole
    for line in narrow:
        assert len(line) <= 80 or "  " not in line.strip(), "only a single value may be longer"


@pytest.mark.parametrize("name", [
    "users list", "api-keys list", "service-accounts list", "tenants list", "permissions list", "quotas", "audit list",
    "settings",
])  # fmt: skip
def test_a_pipe_gets_a_row_a_line_in_columns_that_stay(home: Path, name: str) -> None:
    words = lists(home)[name]
    done = run_command(home, *words)
    header, *rows = done.stdout.splitlines()
    assert len(rows) == len(printed(home, *words))
    assert done.stdout.isascii(), "no box is drawn"
    starts = [found.start() for found in re.finditer(r"\S+", header)]
    for row in rows:
        assert all(row[start] != " " and (start == 0 or row[start - 2 : start] == "  ") for start in starts), row


def test_an_empty_list_has_its_columns_too(home: Path) -> None:
    done = run_command(home, "audit", "list", "--action", "no.such")
    assert done.stdout.split() == [
        "at", "actor", "action", "outcome", "target_type", "target_id", "times", "address", "request_id",
    ]  # fmt: skip
    assert printed(home, "audit", "list", "--action", "no.such") == []


def test_columns_that_do_not_fit_go_on_in_the_next_line_whole() -> None:
    rows: list[dict[str, Any]] = [
        {"id": UNKNOWN, "name": "日本語", "at": None},
        {"id": "1" * 24, "name": "long " * 10, "at": "2026"},
    ]
    table = Table(["id", "name", "at"], 40)
    table.fit(rows)
    assert table.header() == ["id", "  name", "  at"]
    assert table.row(rows[0]) == [UNKNOWN, "  日本語", "  -"]
    assert table.row(rows[1]) == ["1" * 24, "  " + ("long " * 10).rstrip(), "  2026"]
    wide = Table(["name", "at"], None)
    wide.fit(rows)
    assert [wide.row(row)[0].index(end) for row, end in zip(rows, ["-", "2026"], strict=True)] == [49, 52]


@pytest.mark.parametrize(
    "words",
    [
        "users list --tenant",
        "users create --email new@example.com --tenant",
        "audit list --tenant",
        "audit list --follow --tenant",
        "quotas --tenant",
        "secrets list --tenant",
        "tenants show",
    ],
)
@pytest.mark.parametrize("tenant", [UNKNOWN, "no tenant"])
def test_an_unknown_tenant_is_an_error(home: Path, words: str, tenant: str) -> None:
    done = run_command(home, *words.split(), tenant)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "keyrack: there is no such tenant\n")


def test_an_unknown_tenant_is_not_exported(home: Path, tmp_path: Path) -> None:
    done = run_command(home, "export", "platform", str(tmp_path / "file"), "--tenant", UNKNOWN)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "keyrack: there is no such tenant\n")
    assert not (tmp_path / "file").exists()


def test_service_accounts_are_shown_changed_and_deleted(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bootstrapped(home)
    made = printed(
        home, "service-accounts", "create", "--name", "runner",
        "--permission", "global.runtime_env.get", "--permission", "global.task_keys.create",
    )  # fmt: skip
    listed = printed(home, "service-accounts", "list")
    assert [account["username"] for account in listed] == ["keyrack-service", "runner"]
    assert "api_key" not in json.dumps(listed)
    shown = printed(home, "service-accounts", "show", "runner")
    assert shown == {**listed[1], "api_keys": printed(home, "api-keys", "list", "--user", "runner")}
    assert shown["id"] == made["id"]
    assert shown["permissions"] == ["global.runtime_env.get", "global.task_keys.create"]
    text = run_command(home, "service-accounts", "show", "runner").stdout
    assert "\n  global.runtime_env.get\n" in text
    assert made["api_key"] not in text
    change = ("service-accounts", "change")
    changed = printed(home, *change, "runner", "--add", "global.metrics.get", "--remove", "global.task_keys.create")
    assert changed["permissions"] == ["global.metrics.get", "global.runtime_env.get"]
    changed = printed(home, *change, "runner", "--name", "watcher", "--permission", "global.metrics.get")
    assert (changed["username"], changed["permissions"]) == ("watcher", ["global.metrics.get"])
    for words, told in (
        ([*change, "runner", "--name", "x"], "there is no service account runner"),
        ([*change, "watcher", "--name", "keyrack-service"], "another service account has this user name"),
        ([*change, "watcher", "--name", "a@b.example"], "a service account's name has neither @ nor colon"),
        (
            [*change, "watcher", "--add", "no.such"],
            "there is no such permission; see keyrack permissions for all there are",
        ),
        ([*change, "watcher"], "nothing to change: give --name, --permission, --add or --remove"),
        (["service-accounts", "show", "root@example.com"], "there is no service account root@example.com"),
        (["service-accounts", "delete", "nobody"], "there is no service account nobody"),
    ):
        done = run_command(home, *words)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"keyrack: {told}\n"), words
    assert run_command(home, *change, "watcher", "--permission", "a", "--add", "b").returncode == 1
    deleted = printed(home, "service-accounts", "delete", "watcher")
    assert deleted == {"id": made["id"], "username": "watcher", "deleted": True}
    assert [account["username"] for account in printed(home, "service-accounts", "list")] == ["keyrack-service"]
    assert run_command(home, "api-keys", "list", "--user", "watcher").returncode == 1
    events = printed(home, "audit", "list", "--target", made["id"])
    assert [event["action"] for event in events] == [
        "service-account.delete", "service-account.edit", "service-account.edit", "service-account.create",
    ]  # fmt: skip


def test_tenants_and_permissions_are_shown(home: Path) -> None:
    made = first(home)
    (listed,) = printed(home, "tenants", "list")
    assert (listed["tenant_id"], listed["name"], listed["app_domain"]) == (made["tenant_id"], "Main", "localhost")
    shown = printed(home, "tenants", "show", made["tenant_id"])
    assert {name: shown[name] for name in listed} == listed
    assert "code" in shown["attributes"]
    assert f"name: {listed['name']}\n" in run_command(home, "tenants", "show", made["tenant_id"]).stdout
    permissions = printed(home, "permissions", "list")
    assert [each["permission"] for each in permissions] == sorted(ALL)
    assert {each["permission"] for each in permissions if each["listed"]} == set(LISTED)
    roles = next(each["default_roles"] for each in permissions if each["permission"] == "tenants.audit.get")
    assert roles == ["tenants.tenant-admin"]


def test_a_new_key_stands_in_a_line_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = run_command(home, "bootstrap", "--email", "root@example.com").stdout
    tenant = re.search(r"^tenant_id: (\w{24})$", made, re.MULTILINE)
    assert tenant is not None
    outputs = {
        made: ["root@example.com", "keyrack-service"],
        run_command(home, "users", "create", "--email", "ida@example.com", "--tenant", tenant[1]).stdout: [
            "ida@example.com"
        ],
        run_command(home, "api-keys", "create", "--user", "ida@example.com").stdout: ["ida@example.com"],
        run_command(
            home, "service-accounts", "create", "--name", "runner", "--permission", "global.metrics.get"
        ).stdout: ["runner"],
    }
    for text, owners in outputs.items():
        found = re.findall(r"^API key of (\S+); it is not shown again:\n\n(kr_\S+)$", text, re.MULTILINE)
        assert [owner for owner, _ in found] == owners, text
        assert text.count("kr_") == len(owners), "once"


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version(tmp_path: Path, words: list[str]) -> None:
    done = run_command(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


GROUPS = [[], *([name] for name, each in get_command(app).commands.items() if hasattr(each, "commands"))]  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_help_is_plain_text_and_says_each_command_in_a_line(tmp_path: Path, words: list[str]) -> None:
    text = run_command(tmp_path, *words, "--help").stdout
    assert text.startswith(" ".join(["Usage: keyrack", *words])), text
    assert text.isascii(), "no box is drawn"
    assert "..." not in text.replace("[ARGS]...", ""), text
