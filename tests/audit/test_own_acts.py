"""What Keyrack does by itself is in the audit log too: a grant that ends, a client that is paused and works again."""

from datetime import timedelta

from keyrack.model.audit import AuditEvent
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from support.app import World
from support.grants import add_auth_client, add_secret, change, mint


async def own_acts(store: Store, tenant_id: str) -> list[AuditEvent]:
    async with store.unit(tenant_id) as unit:
        return list(await AuditLog(unit).newest({"actor": "refresh"}, None, limit=None))


async def test_a_grant_that_ends_by_itself_is_written_down_once(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    client = await add_auth_client(store, acme.id, simulator.token_endpoint)
    secret = await add_secret(store, acme, client, mint(simulator) | {"refresh_token": "revoked"}, age=3700)
    refresh = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}/refresh"
    for _ in range(2):
        await acme.admin.post(refresh)
    (event,) = await own_acts(store, acme.id)
    assert (event.action, event.target_id, event.outcome) == ("secret.end", secret.id, "failed")


async def test_a_client_that_is_rejected_is_paused_in_the_log_of_its_owner(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    client = await add_auth_client(store, acme.id, simulator.token_endpoint, client_secret="wrong")
    secrets = [await add_secret(store, acme, client, mint(simulator), age=3700) for _ in range(2)]
    for secret in secrets:
        await change(store, secret, due_at=keyrack_on_each.store.clock() - timedelta(seconds=1))
        await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}/refresh")
    assert {(event.action, event.target_id) for event in await own_acts(store, acme.id)} == {
        ("auth-client.pause", client.id)
    }
