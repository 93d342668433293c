"""`keyrack doctor`: a client by id and by name, what is wrong with it, and the requests without a secret."""

import asyncio
import json
import subprocess

import pytest

from keyrack.errors import NotFound, StateConflict
from keyrack.ids import new_id
from keyrack.service.operator.client_doctor import ClientDoctor
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.audit_log import AuditLog
from support import forked_commands
from support.app import BASE, World, relationship
from support.grants import add_auth_client
from support.keyrack_processes import environment

SECRET = "simulator-secret"


async def doctor(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(forked_commands.run, ["doctor", "client", *words], environment(world.settings), 60)


def in_process(world: World) -> ClientDoctor:
    """Return what the command uses, on what is open already."""
    return ClientDoctor(world.store, world.services.examiner, BASE, allow_insecure=True)


async def test_a_client_is_found_by_id_and_by_name_and_its_requests_can_be_read(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
    plain = await doctor(keyrack, client.id)
    assert plain.returncode == 0, plain.stderr
    assert "OK client_authentication" in plain.stdout
    assert "POST" not in plain.stdout
    traced = await doctor(keyrack, "Simulator", "--tenant", acme.id, "--trace")
    assert traced.returncode == 0, traced.stderr
    assert f"> POST {simulator.token_endpoint}" in traced.stdout
    assert "client_secret=***" in traced.stdout
    assert "< status 400" in traced.stdout
    for done in (plain, traced):
        assert SECRET not in done.stdout + done.stderr
        assert f"auth-client {client.id}: " in done.stdout
    async with keyrack.store.unit(acme.id) as unit:
        events = await AuditLog(unit).newest({"action": "auth-client.diagnose"}, None, limit=10)
    assert [(each.actor, each.target_id) for each in events] == [("command line", client.id)] * 2


async def test_names_that_are_unknown_or_not_unique_are_told(keyrack: World, simulator: RunningSimulator) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    first = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
    await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, client_secret="wrong")
    for named, tenant_id, told in (
        (first.id, globex.id, "there is no such client in this tenant"),
        ("Simulator", None, "name its tenant with --tenant"),
        ("Simulator", "nobody", "there is no such tenant"),
        ("Simulator", acme.id, "several clients are called Simulator"),
        ("alpha/nothing", acme.id, "there is no such client"),
    ):
        with pytest.raises((NotFound, StateConflict), match=told):
            await in_process(keyrack).diagnose(named, tenant_id)
    everyones = await add_auth_client(keyrack.store, "", simulator.token_endpoint)
    found = await in_process(keyrack).diagnose("simulator", None)
    assert (found.id, found.level) == (everyones.id, "warning")  # the simulator's address is local


async def test_what_is_found_is_json_for_programs_and_the_status_for_scripts(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, client_secret="canary-secret")
    done = await doctor(keyrack, client.id, "--trace", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["findings"][0]["check"] == "client_authentication"
    assert document["findings"][0]["pointer"] == "/data/attributes/credentials/client_secret"
    assert document["requests"]
    assert "canary" not in done.stdout + done.stderr


async def test_a_tenants_client_is_found_by_its_component(keyrack: World) -> None:
    acme, name = keyrack.tenants["Acme"], f"c{new_id()}"
    fields = {"oauth": {"viewClass": "OAuthFieldView", "required": True}}
    oauth2 = {"client_id": "{{ID}}", "client_secret": "{{SECRET}}", "auth_uri": "http://127.0.0.1:9/a"}
    descriptor = {
        "title": "C",
        "useOAuthClient": True,
        "credentials": {"fields": fields, "oauth2": {**oauth2, "token_uri": "http://127.0.0.1:2/token"}},
    }
    component = await keyrack.add_component(acme, name, descriptor)
    body = {
        "type": "oauth-client",
        "attributes": {"client_id": "id", "client_secret": "canary"},
        "relationships": {"component": relationship("component", component)},
    }
    made = await acme.admin.post(f"/v2/tenants/{acme.id}/oauth-clients", {"data": body})
    assert made.status_code == 201, made.text
    for named in (f"acme/{name}", component, made.json()["data"]["id"]):
        found = await in_process(keyrack).diagnose(named, acme.id)
        assert found.id == made.json()["data"]["id"]
        assert [each.level for each in found.findings if each.check == "endpoint"] == ["error"]
        assert "canary" not in repr(found)
