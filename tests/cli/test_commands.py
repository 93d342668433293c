"""The command line as scripts use it: fixed interfaces of the installation (real processes, real HTTP)."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from support.keyrack_processes import bootstrapped, command_environment, run_command


def test_bootstrap_prints_one_object_and_works_once(tmp_path: Path) -> None:
    first = bootstrapped(tmp_path)
    assert set(first) == {"tenant_id", "contract_id", "workspace_id", "team_id", "admin", "service_account"}
    assert set(first["admin"]) == {"email", "api_key", "user_id"}
    assert set(first["service_account"]) == {"username", "api_key"}
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "key").read_bytes()
    again = run_command(tmp_path, "bootstrap", "--email", "other@example.com", "--json")
    assert (again.returncode, again.stdout) == (1, "")
    assert (tmp_path / "key").read_bytes() == before


def test_a_job_sets_up_without_keys_and_succeeds_again(tmp_path: Path) -> None:
    first = run_command(tmp_path, "bootstrap", "--email", "root@example.com", "--unattended", "--json")
    assert first.returncode == 0, first.stderr
    assert "kr_" not in first.stdout + first.stderr
    assert set(json.loads(first.stdout)["admin"]) == {"email", "user_id"}
    assert json.loads(run_command(tmp_path, "api-keys", "list", "--user", "root@example.com", "--json").stdout) == []
    again = run_command(tmp_path, "bootstrap", "--email", "other@example.com", "--unattended", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, {"already_set_up": True})
    made = run_command(tmp_path, "api-keys", "create", "--user", "root@example.com", "--json")
    assert json.loads(made.stdout)["api_key"].startswith("kr_")


def test_two_bootstraps_at_once_make_one_installation(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "keyrack", "bootstrap", "--email", "root@example.com", "--json"]
    both = [
        subprocess.Popen(
            command, env=command_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert sorted(code for _, code in ended) == [0, 1], ended
    users = run_command(tmp_path, "audit", "list", "--json")
    assert users.returncode == 0, users.stderr


def test_users_keys_and_service_accounts(tmp_path: Path) -> None:
    first = bootstrapped(tmp_path)
    tenant = ["--tenant", first["tenant_id"]]
    made = run_command(tmp_path, "users", "create", "--email", "ida@example.com", *tenant, "--tenant-admin", "--json")
    user = json.loads(made.stdout)
    assert set(user) == {"user_id", "email", "api_key"}
    listed = json.loads(run_command(tmp_path, "users", "list", *tenant, "--json").stdout)
    assert {entry["email"] for entry in listed} == {"root@example.com", "ida@example.com"}
    taken = run_command(tmp_path, "users", "create", "--email", "IDA@example.com", *tenant, "--json")
    assert taken.returncode == 1
    assert "a user with this email already exists" in taken.stderr
    key = json.loads(run_command(tmp_path, "api-keys", "create", "--user", "ida@example.com", "--json").stdout)
    revoked = run_command(tmp_path, "api-keys", "revoke", "--user", "ida@example.com", "--id", key["id"], "--json")
    assert revoked.returncode == 0, revoked.stderr
    unknown = run_command(tmp_path, "service-accounts", "create", "--name", "x", "--permission", "no.such", "--json")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    events = json.loads(run_command(tmp_path, "audit", "list", *tenant, "--json").stdout)
    assert {"user.create", "api-key.create", "api-key.revoke"} <= {event["action"] for event in events}


def test_settings_mask_secrets(tmp_path: Path) -> None:
    url = "postgresql://someone:hunter2@localhost/db"
    shown = run_command(tmp_path, "settings", "--json", KEYRACK_DATABASE_URL=url)
    assert "hunter2" not in shown.stdout + shown.stderr
    origins = {row["name"]: row["origin"] for row in json.loads(shown.stdout)}
    assert origins["KEYRACK_DATABASE_URL"] == "environment"
    assert origins["KEYRACK_LOG_LEVEL"] == "default"


def test_serve_refuses_an_empty_database_and_a_wrong_key(tmp_path: Path) -> None:
    empty = run_command(tmp_path / "empty", "serve", "--port", "0")
    assert empty.returncode == 1
    bootstrapped(tmp_path / "set-up")
    other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    wrong = run_command(tmp_path / "set-up", "serve", "--port", "0", KEYRACK_KEY=other)
    assert wrong.returncode == 1
    assert "key-encryption key" in wrong.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_answers_and_drains(tmp_path: Path, workers: int) -> None:
    first = bootstrapped(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "keyrack", "serve", "--port", str(port), "--workers", str(workers)]
    server = subprocess.Popen(command, env=command_environment(tmp_path), stderr=subprocess.PIPE, text=True)
    try:
        base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while True:
            try:
                if httpx2.get(f"{base}/healthz").status_code == 200:
                    break
            except httpx2.TransportError:
                assert time.monotonic() < deadline, "not ready in 90 seconds"
                time.sleep(0.05)
        assert httpx2.get(f"{base}/readyz").status_code == 200
        admin = (first["admin"]["email"], first["admin"]["api_key"])
        assert httpx2.get(f"{base}/v2/users/me", auth=admin).status_code == 200
        assert httpx2.get(f"{base}/v2/users/me", auth=(admin[0], "wrong")).status_code == 401
        description = httpx2.get(f"{base}/openapi.json").json()
        assert description["openapi"].startswith("3.1")
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert server.returncode == 0, log
    assert admin[1] not in log


def test_a_setup_link_is_made_for_a_user_and_nobody_else(tmp_path: Path) -> None:
    first = bootstrapped(tmp_path)
    email = first["admin"]["email"]
    base = "http://127.0.0.1:8000"
    made = run_command(tmp_path, "users", "setup-link", "--email", email, "--json", KEYRACK_PUBLIC_URL=base)
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    assert set(shown) == {"email", "url", "expires_at"}
    assert shown["url"].startswith(f"{base}/setup?link=")
    for nobody in ("nobody@example.com", first["service_account"]["username"]):
        refused = run_command(tmp_path, "users", "setup-link", "--email", nobody)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("keyrack: there is no user"), refused.stderr


def test_a_password_is_taken_from_standard_input_and_shown_nowhere(tmp_path: Path) -> None:
    first, password = bootstrapped(tmp_path), "a phrase of some words"
    email = first["admin"]["email"]

    def given(name: str, text: str, *command: str) -> subprocess.CompletedProcess[str]:
        return run_command(tmp_path, *(command or ("users", "set-password", "--email")), name, given=text)

    done = given(email, f"{password}\n")
    assert (done.returncode, done.stdout) == (0, f"email: {email}\npassword_set: True\n"), done.stderr
    assert password not in done.stdout + done.stderr
    for name, text, told in (
        (email, "short\n", "at least 12 characters"),
        (email, "", "at least 12 characters"),
        ("nobody@example.com", f"{password}\n", "there is no user"),
        (first["service_account"]["username"], f"{password}\n", "there is no user"),
    ):
        refused = given(name, text)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert told in refused.stderr, refused.stderr
    account = first["service_account"]["username"]
    done = given(account, f"{password}\n", "service-accounts", "set-password")
    assert (done.returncode, done.stdout) == (0, f"username: {account}\npassword_set: True\n"), done.stderr
    for command, name, told in (
        (("service-accounts", "set-password"), email, "there is no service account"),
        (("service-accounts", "disable-totp"), account, f"signing in asks {account} for no code"),
        (("users", "disable-totp"), email, f"signing in asks {email} for no code"),
    ):
        refused = given(name, f"{password}\n", *command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert told in refused.stderr, refused.stderr
