"""`keyrack migrate env-vars`: keys in components' variables become OAuth clients of their owners (decision 52)."""

from collections.abc import Mapping
from typing import Any

import pytest

from keyrack.errors import NotFound
from keyrack.model.clients import ANY_CLIENT
from keyrack.service.importers.cutover import Cutover
from keyrack.service.importers.environment_clients import ComponentResult, EnvironmentClients
from keyrack.store.audit_log import AuditLog
from keyrack.store.component_variables import ComponentEnvironment
from keyrack.store.oauth_clients import OAuthClientRows
from support.app import World
from support.consent import add_oauth_client

KEYS = {"K": "acme-id", "S": "acme-secret", "REGION": "eu"}


def oauth2(client_id: str | None = "{{K}}", secret: str | None = "{{S}}", *, asks: bool = True, **more: str) -> Any:
    block = {"client_id": client_id, "client_secret": secret, "auth_uri": "https://x/a", "token_uri": "https://x/t"}
    block = {name: value for name, value in {**block, **more}.items() if value is not None}
    return {"useOAuthClient": asks, "credentials": {"fields": {}, "oauth2": block}}


async def with_variables(
    world: World, name: str, descriptor: Any, variables: Mapping[str, str], tenant: str = "Acme", access: str = "team"
) -> str:
    owner = world.tenants[tenant]
    component_id = await world.add_component(owner, name, descriptor, access=access)
    async with world.store.unit(owner.id, writes=True) as unit:
        await ComponentEnvironment(unit).replace(component_id, variables)
    return component_id


async def run(world: World, what: str = "make", tenant: str | None = None, *, applies: bool = True) -> dict[str, Any]:
    found: dict[str, ComponentResult] = {}
    clients = EnvironmentClients(world.store)
    await getattr(clients, what)(tenant, lambda each: found.update({each.component_id: each}), applies=applies)
    return found


async def clients_of(world: World, tenant: str) -> dict[str, tuple[str, str, str | None]]:
    async with world.store.unit(world.tenants[tenant].id) as unit:
        listed, _ = await OAuthClientRows(unit).page(ANY_CLIENT, limit=None, offset=0)
    return {each.component_id: (each.client_id, each.client_secret.reveal(), each.client_auth) for each in listed}


async def test_keys_become_clients_of_the_owners_tenant_and_no_other(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    mine = await with_variables(world, "crm", oauth2(), KEYS, access="global")
    theirs = await with_variables(world, "mail", oauth2(), {"K": "globex-id", "S": "globex-secret"}, "Globex")
    told = await run(world, applies=False)
    assert {each.outcome.value for each in told.values()} == {"made"}
    assert await clients_of(world, "Acme") == {}
    made = await run(world)
    assert await clients_of(world, "Acme") == {mine: ("acme-id", "acme-secret", None)}
    assert await clients_of(world, "Globex") == {theirs: ("globex-id", "globex-secret", None)}
    assert (list(made[mine].unused), "other tenants" in made[mine].why) == (["K", "S"], True)
    again = await run(world)
    assert {each.outcome.value for each in again.values()} == {"existing"}
    path = f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/components/{mine}/runtime-env"
    variables = (await world.support.get(path)).json()["data"]["attributes"]["vars"]
    assert variables == {**KEYS, "OAUTH_CLIENT_ID": "acme-id", "OAUTH_CLIENT_SECRET": "acme-secret"}
    async with world.store.unit(world.tenants["Acme"].id) as unit:
        (event,) = await AuditLog(unit).newest({"action": "env-vars.migrate"}, None, limit=9)
    assert event.target_id == made[mine].oauth_client_id
    assert await Cutover(world.store, world.store.clock).status() == []


async def test_undo_restores_what_was(keyrack_on_each: World) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    one, two, three = [await with_variables(world, f"c-{n}", oauth2(), KEYS) for n in range(3)]
    own = await with_variables(world, "own", oauth2(), KEYS)
    await add_oauth_client(world, "Acme", own, "brought", "by hand")
    made = await run(world)
    assert made[own].outcome.value == "existing"
    path = f"/v2/tenants/{acme.id}/oauth-clients"
    attributes = {"client_id": "another", "client_secret": "secret"}
    link = {"component": {"data": {"type": "component", "id": two}}}
    data = {"type": "oauth-client", "id": made[two].oauth_client_id, "attributes": attributes, "relationships": link}
    body = {"data": data}
    assert (await acme.admin.patch(f"{path}/{made[two].oauth_client_id}", body)).status_code == 200
    assert (await acme.admin.delete(f"{path}/{made[three].oauth_client_id}")).status_code == 204
    told = await run(world, "undo", applies=False)
    undone = await run(world, "undo")
    assert {key: each.outcome.value for key, each in told.items()} == {
        one: "deleted", two: "kept", three: "deleted",
    }  # fmt: skip
    assert {key: each.outcome for key, each in undone.items()} == {key: each.outcome for key, each in told.items()}
    assert "before" in undone[three].why
    assert await clients_of(world, "Acme") == {two: ("another", "secret", None), own: ("brought", "by hand", None)}
    async with world.store.unit(acme.id) as unit:
        assert await ComponentEnvironment(unit).read(one) == KEYS
    again = await run(world)
    assert {key for key, each in again.items() if each.outcome.value == "made"} == {one, three}


# fmt: off
SKIPPED: list[tuple[str, Any, dict[str, str], str]] = [
    ("parts", oauth2("x-{{K}}"), KEYS, "client id is not one variable"),
    ("literal", oauth2("literal", "secret"), KEYS, "client id is not one variable"),
    ("no secret", oauth2("{{K}}", None), KEYS, "client secret is not one variable"),
    ("unset", oauth2(), {"K": "acme-id"}, "not set is its variable S"),
    ("blank", oauth2(), {"K": " ", "S": ""}, "not set is its variable K nor S"),
    ("no build", None, KEYS, "no build"),
]
# fmt: on


async def test_what_is_skipped_has_its_reason(keyrack: World) -> None:
    reasons: dict[str, str] = {}
    for name, descriptor, variables, why in SKIPPED:
        reasons[await with_variables(keyrack, name.replace(" ", "-"), descriptor, variables)] = why
    results = await run(keyrack)
    assert results.keys() == reasons.keys()
    for component, result in results.items():
        assert (result.outcome.value, result.oauth_client_id) == ("skipped", None)
        assert reasons[component] in result.why
        assert "acme-id" not in repr(result)


async def test_other_ways_to_keep_keys(keyrack: World) -> None:
    oauth1 = {"credentials": {"oauth1": {"consumer_key": "{{K}}", "consumer_secret": "{{S}}"}}}
    waiting = await with_variables(keyrack, "waiting", oauth2(asks=False), KEYS)
    public = await with_variables(keyrack, "public", oauth2(secret=None, client_auth="none"), {"K": "p"})
    first = await with_variables(keyrack, "first", oauth1, KEYS)
    fixed = {"OAUTH_CLIENT_ID": "fixed", "OAUTH_CLIENT_SECRET": "fixed-secret"}
    named = await with_variables(keyrack, "fixed", oauth2("", ""), fixed)
    plain = await with_variables(keyrack, "plain", {"actions": {}}, KEYS)
    made = await run(keyrack, tenant=keyrack.tenants["Acme"].id)
    assert plain not in made
    assert await clients_of(keyrack, "Acme") == {
        waiting: ("acme-id", "acme-secret", None), public: ("p", "", "none"), first: ("acme-id", "acme-secret", None),
        named: ("fixed", "fixed-secret", None),
    }  # fmt: skip
    assert ("useOAuthClient" in made[waiting].why, list(made[waiting].unused)) == (True, [])
    assert await run(keyrack, tenant=keyrack.tenants["Globex"].id) == {}
    with pytest.raises(NotFound):
        await run(keyrack, tenant="0" * 24)
