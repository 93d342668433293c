"""Deleting workspaces and contracts: who may, what blocks it, what goes, what stays (contract sections 9, 10, 22)."""

from typing import Any

import pytest
from sqlalchemy import func, select

from keyrack.store.schema import metadata, revocations
from support.app import BASE, TenantInTest, World, error_of, relationship
from support.auth_clients import auth_client
from support.auth_clients import make as make_client
from support.consent import add_oauth_client, oauth_component, query_of, start
from support.flows import PLAIN, Site, flow_body, site, step_of
from support.secrets import add_client, make, resource

DESCRIPTOR = oauth_component("https://login.example.com/auth", "https://login.example.com/token")


async def left_of(world: World, column: str, value: str) -> set[str]:
    """Return the tables that still have rows with an id in a column of that name."""
    found = set()
    async with world.store.installation() as unit:
        for table in metadata.sorted_tables:
            if column in table.c and table is not revocations:  # which are made by the deletion
                query = select(func.count()).select_from(table).where(table.c[column] == value)
                if (await unit.connection.execute(query)).scalar_one():
                    found.add(table.name)
    return found


async def revoked(acme: TenantInTest) -> dict[str, str]:
    """Return what was told of each secret's token."""
    answer = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]=secret.revoked")
    told = [entry["attributes"]["data"] for entry in answer.json()["data"]]
    return {each["secret_id"]: each["outcome"] for each in told}


async def consent_at(world: World, acme: TenantInTest) -> str:
    """Start a consent in Acme's workspace; return its callback."""
    component = await world.add_component(acme, "pizza", DESCRIPTOR)
    await add_oauth_client(world, "Acme", component, "id", "shh")
    started = resource(await start(acme.integrator, acme.workspace_id, component), 201)
    state = query_of(started["attributes"]["authorization_url"])["state"]
    return f"/callback/oauth2?code=c&state={state}"


async def connected(world: World, acme: TenantInTest, there: Site) -> dict[str, str]:
    """Add secrets of clients from all around the workspace; return their ids by scope."""
    where = {"tenant": acme, "contract": acme, "global": None}
    made = {}
    for scope, owner in where.items():
        uri = f"{BASE}/revoke" if scope != "contract" else None
        more = {"revocation_uri": uri} if uri else {}
        client = await add_client(world, owner, components=(there.second_id,), scope=scope, **more)
        made[scope] = (await make(acme.integrator, acme.workspace_id, client))["id"]
    free = await add_client(world, acme, "basic", components=(there.second_id,))
    made["no oauth2"] = (await make(acme.integrator, acme.workspace_id, free, {"user": "u", "password": "p"}))["id"]
    return made


async def test_a_workspace_goes_with_all_that_is_in_it(keyrack_on_each: World) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    there, near = await site(world, acme, "own"), await site(world, acme, "near", apart=True)
    secrets = await connected(world, acme, there)
    callback = await consent_at(world, acme)
    draft = {"type": "flow-draft", "attributes": {"graph": {"nodes": [], "edges": []}}}
    assert (await there.user.put(f"/v2/flows/{there.flow_id}/draft", {"data": draft})).status_code == 200
    step, other = await step_of(world, there.flow_id), await step_of(world, near.flow_id)

    answer = await acme.admin.delete(f"/v2/workspaces/{acme.workspace_id}/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await left_of(world, "workspace_id", acme.workspace_id) == set()
    assert await left_of(world, "flow_id", there.flow_id) == set()
    for path in (f"workspaces/{acme.workspace_id}", f"flows/{there.flow_id}", f"credentials/{there.credential_id}"):
        assert error_of(await acme.admin.get(f"/v2/{path}"))[:2] == (404, "not_found")
    gone = await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/secrets/{there.secret_id}")
    assert error_of(gone)[:2] == (404, "not_found")
    assert error_of(await acme.admin.get(f"/v2/auth-clients/{there.auth_client_id}"))[:2] == (404, "not_found")
    assert (await step.get(f"/v2/workspaces/{acme.workspace_id}")).status_code == 401
    assert (await world.http.get(callback)).status_code == 400

    assert (await near.user.get(f"/v2/flows/{near.flow_id}")).status_code == 200
    assert (await other.get(f"/v2/workspaces/{near.workspace_id}/secrets/{near.secret_id}")).status_code == 200
    for kept in (f"contracts/{acme.contract_id}", f"components/{there.component_id}", f"teams/{acme.team_id}"):
        assert (await acme.admin.get(f"/v2/{kept}")).status_code == 200
    clients = (await acme.admin.get(f"/v2/auth-clients?contract_id={acme.contract_id}")).json()["data"]
    assert len(clients) == 3, "those of contract, tenant and installation"
    told = await revoked(acme)
    assert told == {there.secret_id: "not_supported", secrets["contract"]: "not_supported"}
    async with world.store.unit(acme.id) as unit:
        jobs = {row.secret_id for row in (await unit.connection.execute(select(revocations))).all()}
    assert jobs == {secrets["tenant"], secrets["global"]}, "to be revoked by the worker"
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=workspace.delete")).json()["data"]
    assert [event["attributes"]["target"]["id"] for event in events] == [acme.workspace_id]


async def test_a_contract_goes_with_all_that_is_in_it(keyrack_on_each: World) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    there = await site(world, acme, "own")
    secrets = await connected(world, acme, there)
    env = {"data": {"type": "component-env", "attributes": {"vars": {"KEY": "value"}}}}
    assert (await acme.admin.put(f"/v2/components/{there.component_id}/env", env)).status_code == 200
    callback = await consent_at(world, acme)
    shared = await world.add_component(world.tenants["Globex"], "shared", PLAIN, access="global")
    client = await make_client(acme.admin, auth_client([shared, there.second_id], ("tenant", acme.id)))
    listing = {"type": "component", "attributes": {"whitelisted_contract_ids": [acme.contract_id]}}
    assert (await acme.admin.patch(f"/v2/components/{shared}", {"data": listing})).status_code == 200
    step = await step_of(world, there.flow_id)

    answer = await acme.admin.delete(f"/v2/contracts/{acme.contract_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await left_of(world, "contract_id", acme.contract_id) == set()
    assert await left_of(world, "workspace_id", acme.workspace_id) == set()
    assert await left_of(world, "flow_id", there.flow_id) == set()
    assert await left_of(world, "team_id", acme.team_id) == set()
    assert await left_of(world, "component_id", there.component_id) == set()
    gone = ("contracts", acme.contract_id), ("workspaces", acme.workspace_id), ("teams", acme.team_id)
    for kind, identifier in (*gone, ("components", there.component_id), ("flows", there.flow_id)):
        assert error_of(await acme.admin.get(f"/v2/{kind}/{identifier}"))[:2] == (404, "not_found")
    assert (await step.get(f"/v2/workspaces/{acme.workspace_id}")).status_code == 401
    assert (await world.http.get(callback)).status_code == 400
    assert set(await revoked(acme)) == {there.secret_id, secrets["contract"]}

    (orphan,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/oauth-clients")).json()["data"]
    assert "relationships" not in orphan, "8.5, 24.6: it stays, without its component"
    assert orphan["attributes"]["client_id"] == "id"
    kept = resource(await acme.admin.get(f"/v2/auth-clients/{client}"))
    assert [each["id"] for each in kept["relationships"]["components"]["data"]] == [shared]
    assert (await acme.integrator.get("/v2/contracts")).json()["data"] == []
    assert (await acme.integrator.get("/v2/users/me")).status_code == 200
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=contract.delete")).json()["data"]
    targets = {(event["attributes"]["target"]["type"], event["attributes"]["target"]["id"]) for event in events}
    assert targets == {("contract", acme.contract_id), ("workspace", acme.workspace_id)}


async def test_flows_of_other_contracts_block_it(keyrack_on_each: World) -> None:  # 9, 22
    world, acme, globex = keyrack_on_each, keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    near = await site(world, acme, "near", apart=True)  # whose components are of Acme's first contract
    own = await world.add_component(acme, "own", PLAIN)
    mine = resource(await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/own:due")), 201)["id"]
    everyones = await world.add_component(acme, "everyones", PLAIN, access="global")
    body = flow_body(globex.workspace_id, "acme/everyones:due")
    theirs = resource(await globex.integrator.post("/v2/flows", body), 201)["id"]
    path = f"/v2/contracts/{acme.contract_id}"
    refused = await acme.admin.delete(path)
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"] == {"flow_ids": [near.flow_id], "flows": 2}
    assert theirs not in refused.text, "0.15: another tenant's are a number"
    assert (await near.user.delete(f"/v2/flows/{near.flow_id}")).status_code == 204
    assert error_of(await acme.admin.delete(path))[:2] == (409, "in_use")
    draft = {"type": "flow-draft", "attributes": {"graph": body["data"]["attributes"]["graph"]}}
    plain = await world.add_component(globex, "plain", PLAIN)
    changed = {
        "type": "flow",
        "id": theirs,
        "attributes": {"graph": flow_body("", "globex/plain:due")["data"]["attributes"]["graph"]},
    }
    assert plain
    assert (await globex.integrator.patch(f"/v2/flows/{theirs}", {"data": changed})).status_code == 200
    assert error_of(await acme.admin.delete(path))[:2] == (409, "in_use"), "an old version names it"
    assert (await globex.integrator.put(f"/v2/flows/{theirs}/draft", {"data": draft})).status_code == 200
    assert (await globex.integrator.delete(f"/v2/flows/{theirs}")).status_code == 204
    for component in (own, everyones):
        assert (await acme.admin.get(f"/v2/components/{component}")).status_code == 200
    assert (await acme.integrator.get(f"/v2/flows/{mine}")).status_code == 200, "nothing was deleted meanwhile"
    assert (await acme.admin.delete(path)).status_code == 204
    assert (await near.user.get(f"/v2/workspaces/{near.workspace_id}")).status_code == 200


async def test_a_suspended_contract_can_be_deleted(keyrack: World) -> None:  # 9
    acme = keyrack.tenants["Acme"]
    await site(keyrack, acme, "own")
    path = f"/v2/contracts/{acme.contract_id}"
    assert (await acme.admin.post(f"{path}/suspend")).status_code == 202
    assert (await acme.admin.delete(path)).status_code == 204
    assert error_of(await acme.admin.delete(path))[:2] == (404, "not_found")


# fmt: off
WHO = [
    # kind,       tenant admin, contract owner, contract admin, workspace owner, integrator, other's admin, service
    ("contract",  (204,         403,            403,            403,             403,        403,           204)),
    ("workspace", (403,         204,            204,            204,             403,        403,           204)),
]
# fmt: on
COLUMNS = ("tenant admin", "owner", "admin", "workspace owner", "integrator", "elsewhere", "service")


@pytest.mark.parametrize(("kind", "statuses"), WHO)
@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
async def test_who_may(keyrack: World, kind: str, statuses: tuple[int, ...], column: int) -> None:
    acme = keyrack.tenants["Acme"]
    admin = await keyrack.add_user(acme.id, "another@acme.example", ["tenant-admin"])  # who is in no contract
    people = {}
    for name, of_contract, of_workspace in [
        ("owner", "owner", None),
        ("admin", "admin", None),
        ("workspace owner", "member", "owner"),
    ]:
        people[name] = await keyrack.add_user(acme.id, f"{name.replace(' ', '-')}@members.example")
        member = {"type": "contract-member", "id": people[name].id, "attributes": {"roles": [of_contract]}}
        path = f"/v2/contracts/{acme.contract_id}/members"
        assert (await acme.admin.post(path, {"data": member})).status_code == 200
        if of_workspace is not None:
            member = {"type": "member", "id": people[name].id, "attributes": {"roles": [of_workspace]}}
            path = f"/v2/workspaces/{acme.workspace_id}/members"
            assert (await acme.admin.post(path, {"data": member})).status_code == 200
    people |= {"tenant admin": admin, "integrator": acme.integrator}
    people["elsewhere"] = keyrack.tenants["Globex"].admin
    people["service"] = await keyrack.add_service_account(f"contracts.{kind}.delete")
    identifier = acme.contract_id if kind == "contract" else acme.workspace_id
    answer = await people[COLUMNS[column]].delete(f"/v2/{kind}s/{identifier}")
    assert answer.status_code == statuses[column], answer.text
    left = (await keyrack.support.get(f"/v2/{kind}s/{identifier}")).status_code
    assert left == (404 if answer.status_code == 204 else 200)


@pytest.mark.parametrize("kind", ["contract", "workspace"])
async def test_an_unknown_one_is_404(keyrack: World, kind: str) -> None:
    for who in (keyrack.tenants["Acme"].admin, keyrack.support):
        for identifier in ("0" * 24, "nonsense"):
            assert error_of(await who.delete(f"/v2/{kind}s/{identifier}"))[:2] == (404, "not_found")


async def test_many_secrets_go_in_turns(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = keyrack.tenants["Acme"]
    monkeypatch.setattr("keyrack.service.offboarding.place_deletion._AT_ONCE", 2)
    client = await add_client(keyrack, acme, scope="tenant")
    made = {(await make(acme.integrator, acme.workspace_id, client))["id"] for _ in range(5)}
    assert (await acme.admin.delete(f"/v2/workspaces/{acme.workspace_id}")).status_code == 204
    assert set(await revoked(acme)) == made


def linkage(kind: str, identifier: str) -> dict[str, Any]:
    return {kind: relationship(kind, identifier)}


async def test_the_name_of_a_deleted_team_is_free_again(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    assert (await acme.admin.delete(f"/v2/contracts/{acme.contract_id}")).status_code == 204
    data = {"type": "team", "attributes": {"name": "acme"}, "relationships": linkage("contract", globex.contract_id)}
    assert (await globex.admin.post("/v2/teams", {"data": data})).status_code == 201
