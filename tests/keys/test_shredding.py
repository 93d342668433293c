"""A shredded tenant: its data keys are gone, in every process at once, and so is what could only fail without them."""

import json
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from keyrack.errors import NotFound, StateConflict, WrongKey
from keyrack.service.operator.crypto_shredding import CryptoShredding
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.schema import auth_secrets, data_keys
from keyrack.wiring.services import build_services
from keyrack.wiring.storage import open_store
from keyrack.wiring.worker import running
from support.app import World, settings_for
from support.grants import add_auth_client, add_secret
from support.keyrack_processes import bootstrapped, run_command
from support.waits_and_faults import until


async def refuses(store: Store, tenant_id: str, secret_id: str) -> bool:
    """Tell whether a store can no more open what is encrypted in a secret."""
    try:
        async with store.unit(tenant_id) as unit:
            await AuthSecrets(unit).find(secret_id)
    except WrongKey:
        return True
    return False


async def test_no_process_reads_a_shredded_tenant_any_more(keyrack_on_each: World) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    globex = keyrack.tenants["Globex"]
    secrets = {}
    for tenant in (acme, globex):
        client = await add_auth_client(keyrack.store, tenant.id, "http://127.0.0.1:9/token")
        secrets[tenant.id] = await add_secret(keyrack.store, tenant, client, {"access_token": "canary"})
    other = open_store(keyrack.settings)
    services = build_services(other, keyrack.settings)
    async with running(other, services, keyrack.settings, works=False):
        for tenant in (acme, globex):
            async with other.unit(tenant.id) as unit:  # its data key is in that process' memory now
                assert await AuthSecrets(unit).find(secrets[tenant.id].id) is not None
        shredded = await CryptoShredding(keyrack.store).shred(acme.id)
        assert (shredded.data_keys, shredded.tenant_name) == (1, "Acme")
        for store in (other, keyrack.store):
            refused = partial(refuses, store, acme.id, secrets[acme.id].id)
            await until(refused)  # PostgreSQL tells the other process after the commit
            async with store.unit(globex.id) as unit:
                assert await AuthSecrets(unit).find(secrets[globex.id].id) is not None
            with pytest.raises(WrongKey):
                async with store.unit(acme.id, writes=True) as unit:
                    await unit.seal(auth_secrets, "row", "column", "new")
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secrets[acme.id].id}"
    answer = await acme.admin.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "unreadable")
    async with keyrack.store.installation() as unit:
        rows = (
            await unit.connection.execute(select(auth_secrets.c.due_at).where(auth_secrets.c.tenant_id == acme.id))
        ).all()
        left = select(func.count()).select_from(data_keys).where(data_keys.c.tenant_id == acme.id)
        assert (await unit.connection.execute(left)).scalar() == 0
    assert [row.due_at for row in rows] == [None], "nobody tries to refresh it"
    async with keyrack.store.unit(acme.id) as unit:
        events, _ = await AuditLog(unit).page({"action": "tenant.shred"}, None, None, limit=None)
    assert [(event.actor, event.target_id, event.outcome) for event in events] == [("command line", acme.id, "allowed")]
    with pytest.raises(StateConflict, match="before"):
        await CryptoShredding(keyrack.store).shred(acme.id)
    with pytest.raises(NotFound):
        await CryptoShredding(keyrack.store).shred("0" * 24)


def test_the_command_wants_the_tenant_confirmed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tenant = bootstrapped(home)["tenant_id"]
    for words in ([], ["--confirm", "another"]):
        refused = run_command(home, "keys", "shred", "--tenant", tenant, *words)
        assert refused.returncode == 1
        assert "confirm" in refused.stderr
    done = run_command(home, "keys", "shred", "--tenant", tenant, "--confirm", tenant, "--json")
    assert json.loads(done.stdout)["data_keys"] == 1
    assert "Backups" in done.stderr
    status = json.loads(run_command(home, "keys", "status", "--json").stdout)
    assert status["data_keys"] == 1
    again = run_command(home, "keys", "rotate", "--json")
    assert json.loads(again.stdout)["new_data_keys"] == 1, "a shredded tenant gets no new key"
    assert settings_for(home).effective_key_file.exists()
