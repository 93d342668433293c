"""A global auth client is not judged by what one component's developer chose (contract 0.13, 20.3; invariant 7)."""

import pytest

from keyrack.model.clients import AuthClient
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.keyring import INSTALLATION
from support.app import World
from support.grants import add_auth_client, add_secret, change, stored
from support.raw_provider import RawProvider, json_answer

REJECTED = json_answer('{"error": "invalid_client"}', "401 Unauthorized")
GOOD = json_answer('{"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600}')


async def now(world: World, client: AuthClient) -> AuthClient:
    async with world.store.unit(client.tenant_id) as unit:
        found = await AuthClientRows(unit).find(client.id)
    assert found is not None
    return found


async def refresh(world: World, tenant: str, secret_id: str) -> int:
    owner = world.tenants[tenant]
    path = f"/v2/workspaces/{owner.workspace_id}/secrets/{secret_id}/refresh"
    return (await owner.admin.post(path)).status_code


async def test_a_global_client_uses_its_own_method_whatever_a_secret_remembers(
    keyrack: World, raw_provider: RawProvider
) -> None:
    client = await add_auth_client(keyrack.store, INSTALLATION, raw_provider.token_endpoint)
    raw_provider.answers = [GOOD]
    attacker = await add_secret(
        keyrack.store, keyrack.tenants["Globex"], client, {"access_token": "at", "refresh_token": "garbage"}, age=4000
    )
    await change(keyrack.store, attacker, auth_method="client_secret_basic")
    assert await refresh(keyrack, "Globex", attacker.id) == 200
    assert "client_secret" in raw_provider.forms[0]
    assert b"authorization" not in raw_provider.requests[0].lower()


async def test_a_build_with_another_method_does_not_choose_for_a_global_client(
    keyrack: World, raw_provider: RawProvider
) -> None:
    descriptor = {
        "title": "Chosen",
        "credentials": {"oauth2": {"client_auth": "basic", "token_uri": raw_provider.token_endpoint}},
    }
    component = await keyrack.add_component(keyrack.tenants["Globex"], "chosen", descriptor, access="global")
    client = await add_auth_client(keyrack.store, INSTALLATION, raw_provider.token_endpoint)
    body = {
        "data": {
            "type": "auth-client",
            "attributes": {},
            "relationships": {"components": {"data": [{"type": "component", "id": component}]}},
        }
    }
    linked = await keyrack.support.patch(f"/v2/auth-clients/{client.id}", body)
    assert linked.status_code == 200, linked.text
    globex = keyrack.tenants["Globex"]
    made = await globex.admin.post(
        f"/v2/workspaces/{globex.workspace_id}/secrets",
        {
            "data": {
                "type": "auth-secret",
                "attributes": {"name": "garbage", "credentials": {"access_token": "at", "refresh_token": "garbage"}},
                "relationships": {"auth_client": {"data": {"type": "auth-client", "id": client.id}}},
            }
        },
    )
    assert made.status_code == 201, made.text
    raw_provider.answers = [GOOD]
    assert await refresh(keyrack, "Globex", made.json()["data"]["id"]) == 200
    assert "client_secret" in raw_provider.forms[0]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_basic_raw", "none"])
async def test_a_rejection_under_another_method_never_blames_a_tenants_client(
    keyrack: World, raw_provider: RawProvider, method: str
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint)
    tokens = {"access_token": "at", "refresh_token": "rt"}
    chosen = [await add_secret(keyrack.store, acme, client, tokens, age=4000) for _ in range(2)]
    others = await add_secret(keyrack.store, acme, client, tokens, age=4000)
    raw_provider.answers = [REJECTED]
    for secret in chosen:
        await change(keyrack.store, secret, auth_method=method)
        assert await refresh(keyrack, "Acme", secret.id) == 400
    assert (await now(keyrack, client)).rejected_at is None
    raw_provider.answers = [GOOD]
    assert await refresh(keyrack, "Acme", others.id) == 200
    assert (await stored(keyrack.store, others)).generation == others.generation + 1


async def test_a_rejection_under_its_own_method_does(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint, client_auth="basic")
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "at", "refresh_token": "rt"}, age=4000)
    await change(keyrack.store, secret, auth_method="client_secret_basic")
    raw_provider.answers = [REJECTED]
    assert await refresh(keyrack, "Acme", secret.id) == 400
    assert (await now(keyrack, client)).rejected_at is not None
    assert b"authorization: basic " in raw_provider.requests[0].lower()
