"""An installation whose keys OpenBao wraps: moving there, wrong keys at start, an outage while it runs."""

import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx2
import pytest

from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret
from support.keyrack_processes import Server, command, environment, run_command
from support.openbao import OpenBao, serving
from support.process import free_port

KEY = "openbao:transit/keyrack"


@pytest.fixture
def own_openbao(openbao_program: Path) -> Iterator[OpenBao]:
    """An OpenBao of this test's own, which may be stopped."""
    with serving(openbao_program) as bao:
        bao.ask("POST", "sys/mounts/transit", {"type": "transit"})
        bao.ask("POST", "transit/keys/keyrack")
        yield bao


def variables(bao: OpenBao) -> dict[str, str]:
    return {"BAO_ADDR": bao.base, "BAO_TOKEN": bao.token}


async def test_an_installation_moves_from_its_file_to_openbao_and_survives_its_outage(
    own_openbao: OpenBao, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "home", None, allow_insecure_providers="true")
    async with world(settings) as keyrack:
        paths = {name: await connected(keyrack, name) for name in ("Acme", "Globex")}
    env = environment(settings, key_sources=f"{KEY},file", key_service_timeout=20) | variables(own_openbao)
    moved = command(env, "keys", "rewrap")
    assert (moved["rewrapped_data_keys"], moved["key"]) == (4, f"{KEY}:v1")
    own_openbao.ask("POST", "transit/keys/keyrack/rotate")
    assert command(env, "keys", "rewrap")["key"] == f"{KEY}:v2"
    status = command(env, "keys", "status")
    assert [each["id"] for each in status["key_encryption_keys"]] == [f"{KEY}:v2"]
    assert command(env, "keys", "retire", "--yes")["key_encryption_keys"] == [], "the last key of a file stays in it"
    settings.effective_key_file.unlink()
    env["KEYRACK_KEY_SOURCES"] = KEY
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    server = Server(env, tmp_path / "server.log", "--no-worker")
    try:
        server.wait_until_ready()
        answer = httpx2.get(server.base + paths["Acme"], auth=(acme.admin.name, acme.admin.api_key), timeout=60)
        assert "canary" in answer.text
        assert httpx2.get(f"{server.base}/readyz", timeout=60).json() == {"status": "ready"}
        own_openbao.ask("PUT", "sys/seal")
        for _ in range(3):  # its data key is in memory
            answer = httpx2.get(server.base + paths["Acme"], auth=(acme.admin.name, acme.admin.api_key), timeout=60)
            assert (answer.status_code, "canary" in answer.text) == (200, True)
        answer = httpx2.get(server.base + paths["Globex"], auth=(globex.admin.name, globex.admin.api_key), timeout=60)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, "key_service_unavailable")
        assert KEY not in answer.text
        assert int(answer.headers["retry-after"]) > 0
        told = {"status": "ready"}
        while told == {"status": "ready"}:
            told = httpx2.get(f"{server.base}/readyz", timeout=60).json()
        assert told == {"status": "degraded", "keys": "unavailable"}
        for words in (["serve", "--port", "1"], ["worker"], ["keys", "rewrap"]):
            failed = run(settings.home, *words, **env)
            assert failed.returncode == 1
            assert failed.stderr.count("\n") <= 3, failed.stderr
            assert KEY in failed.stderr
            assert "Traceback" not in failed.stderr
        assert server.stop() == 0
        assert own_openbao.token not in server.log()
    finally:
        server.kill()


async def connected(keyrack: World, name: str) -> str:
    """Store a secret of a tenant; return where it is read."""
    tenant = keyrack.tenants[name]
    client = await add_auth_client(keyrack.store, tenant.id, "http://127.0.0.1:9/token")
    secret = await add_secret(keyrack.store, tenant, client, {"access_token": "canary"})
    return f"/v2/workspaces/{tenant.workspace_id}/secrets/{secret.id}"


def test_a_key_of_the_same_name_elsewhere_is_refused_before_serving(
    openbao_program: Path, own_openbao: OpenBao, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    env = {"KEYRACK_KEY_SOURCES": KEY} | variables(own_openbao)
    command({"KEYRACK_HOME": str(home)} | env, "bootstrap", "--email", "root@root.example")
    assert not (home / "key").exists()
    with serving(openbao_program, free_port()) as other:
        other.ask("POST", "sys/mounts/transit", {"type": "transit"})
        other.ask("POST", "transit/keys/keyrack")
        for words in (["serve", "--port", "1"], ["worker"], ["export", "platform", str(tmp_path / "out.json")]):
            failed = run(home, *words, **(env | variables(other)))
            assert failed.returncode == 1, words
            assert "did not encrypt this data key" in failed.stderr or "encrypted" in failed.stderr
    (home / "key").write_bytes(b"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=")
    os.chmod(home / "key", 0o600)  # noqa: PTH101 - as an operator does
    failed = run(home, "serve", "--port", "1", KEYRACK_KEY_SOURCES="file")
    assert failed.returncode == 1
    assert "which is no key at hand" in failed.stderr
    served = run(home, "keys", "status", "--json", **env)
    assert served.returncode == 0


def run(home: Path, *words: str, **env: str) -> CompletedProcess[str]:
    """Run a Keyrack command, which may fail, with an environment."""
    more: dict[str, Any] = env
    return run_command(home, *words, **more)
