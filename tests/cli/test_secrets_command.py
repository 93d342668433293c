"""`keyrack secrets` on a real installation, beside a provider that rotates refresh tokens and takes each once."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.clock import iso
from keyrack.model.secrets import SecretState
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support import forked_commands
from support.app import World
from support.grants import add_auth_client, add_secret, change, connect, is_live, stored
from support.keyrack_processes import environment

STRICT = {"rotation": "strict"}


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


async def keyrack_secrets(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(forked_commands.run, ["secrets", *words], environment(world.settings), 60)


async def printed(world: World, *words: str) -> Any:
    done = await keyrack_secrets(world, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_list_tells_every_secret_and_no_credentials(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    client = await add_auth_client(keyrack.store, "", "http://127.0.0.1:2/token")
    tokens = {"access_token": "canary-access", "refresh_token": "canary-refresh"}
    fresh = await add_secret(keyrack.store, acme, client, tokens)
    long = await add_secret(keyrack.store, globex, client, tokens, lifetime=90_000)
    broken = await add_secret(keyrack.store, globex, client, tokens, lifetime=90_000)
    await change(keyrack.store, broken, state=SecretState.error, error="Connect again.")
    soon = iso(datetime.now(UTC) + timedelta(hours=2))
    asked = {
        (): {fresh.id, long.id, broken.id},
        ("--tenant", acme.id): {fresh.id},
        ("--workspace", globex.workspace_id): {long.id, broken.id},
        ("--state", "error"): {broken.id},
        ("--state", "ready", "--tenant", globex.id): {long.id},
        ("--expires-before", soon): {fresh.id},
        ("--limit", "0"): None,
        ("--expires-before", "tomorrow"): None,
        ("--tenant", globex.id, "--workspace", acme.workspace_id): None,
        ("--tenant", "unknown"): None,
    }
    for words, expected in asked.items():
        done = await keyrack_secrets(keyrack, "list", *words, "--json")
        assert "canary" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if expected is None:
            assert (done.returncode != 0, done.stdout) == (True, ""), words
        else:
            assert {row["id"] for row in json.loads(done.stdout)} == expected, (words, done.stderr)
    table = await keyrack_secrets(keyrack, "list")
    assert table.returncode == 0
    assert "canary" not in table.stdout


async def test_show_prints_credentials_only_when_told_to_and_that_is_written_down(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, "http://127.0.0.1:2/token")
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "canary-access"})
    plain = await keyrack_secrets(keyrack, "show", secret.id)
    assert "canary" not in plain.stdout
    assert secret.id in plain.stdout
    assert (await printed(keyrack, "show", secret.id))["state"] == "ready"
    audit = f"/v2/tenants/{acme.id}/audit-events?filter[action]=secret.reveal"
    assert (await acme.admin.get(audit)).json()["data"] == []
    revealed = await printed(keyrack, "show", secret.id, "--reveal")
    assert revealed["credentials"]["access_token"] == "canary-access"
    (event,) = (await acme.admin.get(audit)).json()["data"]
    assert "canary" not in json.dumps(event)
    unknown = await keyrack_secrets(keyrack, "show", "unknown", "--reveal")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no such secret" in unknown.stderr


async def test_refresh_goes_through_the_engine_beside_others(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    simulator.state.set_defaults({**STRICT, "latency": 1500})
    connected = await connect(world, simulator, age=60)
    both = await asyncio.gather(
        *[printed(world, "refresh", connected.secret.id) for _ in range(2)],
        world.services.refreshing.refresher.refresh(connected.secret),
    )
    now = await stored(world.store, connected.secret)
    assert is_live(simulator, now)
    assert [shown["state"] for shown in both[:2]] == ["ready", "ready"]
    assert "access_token" not in json.dumps(both[:2])
    assert now.generation >= connected.secret.generation + 1
    assert simulator.state.calls(grant_type="refresh_token") == now.generation - connected.secret.generation


async def test_a_refusal_is_one_line_and_exit_1(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    simulator.state.book.revoke(lambda _token: True)
    done = await keyrack_secrets(keyrack, "refresh", connected.secret.id, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert connected.secret.credentials["refresh_token"] not in done.stderr
    assert (await printed(keyrack, "show", connected.secret.id))["error_code"] == "reauthorization_required"
