"""Deleting users: contract section 11, decision 14. What others need passes on, what nobody else is in goes."""

from typing import Any

import pytest
from sqlalchemy import select

from keyrack.service.secrets.revocation import enqueue
from keyrack.store.contracts import ContractMembers
from keyrack.store.schema import api_keys, consents, team_members
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Caller, TenantInTest, World, error_of, relationship
from support.documents import identifier
from support.flows import Site, add_contract, add_workspace, flow_body, site, step_of
from support.waits_and_faults import in_turn


def path_of(who: Caller) -> str:
    return f"/v2/users/{who.id}"


async def owners(who: Caller, there: Site) -> set[str]:
    """The users that a site's things belong to."""
    versions = await who.get(f"/v2/flows/{there.flow_id}/versions")
    resources = [
        (await who.get(path)).json()["data"]
        for path in (
            f"/v2/flows/{there.flow_id}",
            f"/v2/credentials/{there.credential_id}",
            f"/v2/workspaces/{there.workspace_id}/secrets/{there.secret_id}",
        )
    ] + versions.json()["data"]
    return {each["relationships"]["user"]["data"]["id"] for each in resources}


# fmt: off
WHO = [
    # caller,      DELETE the guest, DELETE the stranger, who is in no contract
    ("admin",      204,              204),
    ("integrator", 403,              404),
    ("stranger",   404,              403),
    ("elsewhere",  404,              404),
    ("service",    204,              204),
    ("readers",    404,              404),
]
# fmt: on


@pytest.mark.parametrize(("caller", "guest", "stranger"), WHO)
async def test_who_may(keyrack: World, acme: TenantInTest, caller: str, guest: int, stranger: int) -> None:
    others: dict[str, Caller] = {
        "elsewhere": keyrack.tenants["Globex"].admin,
        "service": keyrack.support,
        "readers": await keyrack.add_service_account("tenants.oauth_clients.get"),
    }
    who: Caller = others.get(caller) or getattr(acme, caller)
    assert (await who.delete(path_of(acme.guest))).status_code == guest
    assert (await who.delete(path_of(acme.stranger))).status_code == stranger
    assert (await acme.admin.get(path_of(acme.guest))).status_code == (404 if guest == 204 else 200)
    for unknown in ("0" * 24, "nonsense"):
        assert error_of(await who.delete(f"/v2/users/{unknown}"))[:2] == (404, "not_found")


async def test_all_that_is_only_the_users_goes(keyrack: World, acme: TenantInTest) -> None:
    there = await site(keyrack, acme, "mine")
    assert (await acme.integrator.post("/v2/users/me/api-keys", api_key("second"))).status_code == 201
    joined = {"data": identifier("user", acme.integrator.id)}
    assert (await acme.admin.post(f"/v2/teams/{acme.team_id}/relationships/members", joined)).status_code == 200
    answer = await acme.admin.delete(path_of(acme.integrator))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await acme.integrator.get("/v2/users/me")).status_code == 401, "its keys died with it"
    async with keyrack.store.installation() as unit:
        for table in (api_keys, team_members, consents):
            rows = await unit.connection.execute(select(table).where(table.c.user_id == acme.integrator.id))
            assert rows.all() == [], table.name
    team = (await acme.admin.get(f"/v2/teams/{acme.team_id}")).json()["data"]
    assert team["relationships"]["users"]["data"] == [identifier("user", acme.admin.id)]
    contract = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"]
    assert acme.integrator.id not in {member["id"] for member in contract}
    assert (await acme.admin.get(f"/v2/workspaces/{there.workspace_id}")).status_code == 200
    again = {"first_name": "A", "last_name": "B", "email": acme.integrator.name, "password": "correct h0rse"}
    made = await acme.admin.post("/v2/users", {"data": {"type": "user", "attributes": again}})
    assert made.status_code == 201, "the email is free"
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=user.delete")).json()["data"]
    assert [event["attributes"]["target"] for event in events] == [identifier("user", acme.integrator.id)]


def api_key(name: str) -> dict[str, Any]:
    return {"data": {"type": "api-key", "attributes": {"name": name}}}


async def test_flows_credentials_and_secrets_pass_to_an_owner_and_work_on(keyrack: World, acme: TenantInTest) -> None:
    there = await site(keyrack, acme, "mine")
    step = await step_of(keyrack, there.flow_id)
    assert await owners(acme.admin, there) == {acme.integrator.id}
    assert (await keyrack.support.delete(path_of(acme.integrator))).status_code == 204
    assert await owners(acme.admin, there) == {acme.admin.id}
    flow = (await acme.admin.get(f"/v2/flows/{there.flow_id}")).json()["data"]
    assert flow["attributes"]["status"] == "active"
    secret = await step.get(f"/v2/workspaces/{there.workspace_id}/secrets/{there.secret_id}")
    assert secret.json()["data"]["attributes"]["credentials"]["access_token"] == "at-1"


async def test_without_an_owner_another_member_takes_over(keyrack: World, acme: TenantInTest) -> None:
    there = await site(keyrack, acme, "mine")
    gone = f"/v2/workspaces/{acme.workspace_id}/members/{acme.admin.id}"
    assert (await acme.admin.delete(gone)).status_code == 204
    assert (await acme.admin.delete(path_of(acme.integrator))).status_code == 204
    assert (await acme.admin.get(f"/v2/workspaces/{there.workspace_id}")).status_code == 200
    inside = {"data": {"type": "member", "id": acme.admin.id, "attributes": {"roles": ["owner"]}}}
    assert (await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/members", inside)).status_code == 200
    assert await owners(acme.admin, there) == {acme.guest.id}


async def test_what_somebody_left_behind_in_an_empty_workspace_passes_to_the_contract(
    keyrack: World, acme: TenantInTest
) -> None:
    there = await site(keyrack, acme, "mine")
    async with keyrack.store.unit(
        acme.id, writes=True
    ) as unit:  # as those who left before there was anybody to inherit
        for who in (acme.admin, acme.integrator, acme.guest):
            await WorkspaceMembers(unit).remove(acme.workspace_id, who.id)
        await ContractMembers(unit).remove(acme.contract_id, acme.integrator.id)
    assert (await keyrack.support.delete(path_of(acme.integrator))).status_code == 204
    inside = {"data": {"type": "member", "id": acme.admin.id, "attributes": {"roles": ["owner"]}}}
    assert (await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/members", inside)).status_code == 200
    assert await owners(acme.admin, there) == {acme.admin.id}, "the contract's owner"


async def test_the_caller_takes_over_where_nobody_is(keyrack: World, acme: TenantInTest) -> None:
    there = await site(keyrack, acme, "mine", apart=True)
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await WorkspaceMembers(unit).remove(there.workspace_id, there.user.id)
        await ContractMembers(unit).remove(there.contract_id, there.user.id)
    refused = await keyrack.support.delete(path_of(there.user))
    assert error_of(refused)[:2] == (409, "state_conflict"), "a service account cannot own anything"
    assert refused.json()["errors"][0]["meta"] == {"workspace_id": there.workspace_id}
    assert (await acme.admin.delete(path_of(there.user))).status_code == 204
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await WorkspaceMembers(unit).add(there.workspace_id, acme.admin.id, ["owner"])
    assert await owners(acme.admin, there) == {acme.admin.id}


async def test_contracts_and_workspaces_without_anybody_else_go(keyrack: World, acme: TenantInTest) -> None:
    alone = await add_contract(keyrack, acme, "alone")
    workspace = await add_workspace(keyrack, acme, "limited")  # with the integrator in it, in the shared contract
    there = await site(keyrack, acme, "shared")
    assert (await acme.admin.delete(path_of(alone.member))).status_code == 204
    assert (await acme.admin.get(f"/v2/contracts/{alone.contract_id}")).status_code == 404
    assert (await acme.admin.get(f"/v2/workspaces/{alone.workspace_id}")).status_code == 404
    assert (await acme.admin.delete(path_of(acme.integrator))).status_code == 204
    assert (await acme.admin.get(f"/v2/workspaces/{workspace}")).status_code == 404
    assert (await acme.admin.get(f"/v2/workspaces/{there.workspace_id}")).status_code == 200
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=user.delete")).json()["data"]
    targets = [(each["attributes"]["target"]["type"], each["attributes"]["target"]["id"]) for each in events]
    assert targets == [
        ("workspace", alone.workspace_id),
        ("contract", alone.contract_id),
        ("user", alone.member.id),
        ("workspace", workspace),
        ("user", acme.integrator.id),
    ]


async def test_secrets_that_go_with_the_user_are_revoked(
    keyrack: World, acme: TenantInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = await site(keyrack, acme, "apart", apart=True)
    revoked: list[str] = []

    async def noted(unit: Any, secret: Any, client: Any) -> None:
        revoked.append(secret.id)
        await enqueue(unit, secret, client)

    monkeypatch.setattr("keyrack.service.offboarding.place_deletion.enqueue", noted)
    assert (await acme.admin.delete(path_of(there.user))).status_code == 204
    assert revoked == [there.secret_id]


async def test_a_contract_whose_components_others_use_keeps_its_user(keyrack: World, acme: TenantInTest) -> None:  # 22
    alone = await add_contract(keyrack, acme, "alone")
    related = {"contract": relationship("contract", alone.contract_id)}
    data = {"type": "team", "attributes": {"name": "loners"}, "relationships": related}
    team = (await alone.member.post("/v2/teams", {"data": data})).json()["data"]["id"]
    owner = TenantInTest(**{**vars(acme), "contract_id": alone.contract_id, "team_id": team})
    await keyrack.add_component(owner, "timer", {"title": "T", "triggers": {"tick": {"title": "Tick"}}}, "tenant")
    flow = await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "loners/timer:tick"))
    assert flow.status_code == 201, flow.text
    refused = await acme.admin.delete(path_of(alone.member))
    assert error_of(refused)[:2] == (409, "in_use")
    assert (await alone.member.get("/v2/users/me")).status_code == 200
    assert (await acme.integrator.delete(f"/v2/flows/{flow.json()['data']['id']}")).status_code == 204
    assert (await acme.admin.delete(path_of(alone.member))).status_code == 204


async def test_the_last_owner_of_a_contract_with_other_members_stays(keyrack: World, acme: TenantInTest) -> None:
    refused = await keyrack.support.delete(path_of(acme.admin))
    assert error_of(refused)[:2] == (409, "state_conflict")
    assert refused.json()["errors"][0]["meta"] == {"contract_ids": [acme.contract_id]}
    roles = {"data": {"type": "contract-member", "attributes": {"roles": ["owner"]}}}
    path = f"/v2/contracts/{acme.contract_id}/members/{acme.guest.id}"
    assert (await acme.admin.patch(path, roles)).status_code == 200
    assert (await keyrack.support.delete(path_of(acme.admin))).status_code == 204


async def test_nobody_deletes_oneself(acme: TenantInTest) -> None:
    assert error_of(await acme.admin.delete(path_of(acme.admin)))[:2] == (409, "state_conflict")
    assert (await acme.admin.get("/v2/users/me")).status_code == 200


async def test_two_admins_cannot_delete_each_other(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    second = acme.stranger
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await UserRows(unit).set_tenant_roles(second.id, ["tenant-admin"])
        await ContractMembers(unit).change(acme.contract_id, acme.guest.id, ["owner"])
    first, other = await in_turn(
        monkeypatch, (UserRows, "remove"), acme.admin.delete(path_of(second)), second.delete(path_of(acme.admin))
    )
    assert first.status_code == 204
    assert other.status_code == 403
    assert (await acme.admin.get("/v2/users/me")).status_code == 200


async def test_who_joins_meanwhile_does_not_lose_the_contract(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    alone = await add_contract(keyrack_on_each, acme, "alone")
    joins = {"data": {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["owner"]}}}
    joining, deleting = await in_turn(
        monkeypatch,
        (ContractMembers, "add"),
        acme.admin.post(f"/v2/contracts/{alone.contract_id}/members", joins),
        keyrack_on_each.support.delete(path_of(alone.member)),
    )
    assert joining.status_code == 200
    assert deleting.status_code == 204
    assert (await acme.stranger.get(f"/v2/contracts/{alone.contract_id}")).status_code == 200


async def test_a_flow_made_while_its_user_goes_is_refused(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await keyrack_on_each.add_component(acme, "timer", {"title": "T", "triggers": {"tick": {"title": "Tick"}}})
    deleting, making = await in_turn(
        monkeypatch,
        (UserRows, "remove"),
        acme.admin.delete(path_of(acme.integrator)),
        acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/timer:tick")),
    )
    assert deleting.status_code == 204
    assert making.status_code == 403
    assert (await acme.admin.get(f"/v2/flows?workspace_id={acme.workspace_id}")).json()["data"] == []


async def test_a_user_in_no_contract_reaches_only_its_profile(acme: TenantInTest) -> None:  # 2, 9
    """Who loses the last membership keeps an account that reaches nothing else (decision 14)."""
    member = f"/v2/contracts/{acme.contract_id}/members/{acme.guest.id}"
    assert (await acme.admin.delete(member)).status_code == 204
    assert (await acme.guest.get("/v2/users/me")).status_code == 200
    assert (await acme.guest.get("/v2/contracts")).json()["data"] == []
    assert (await acme.guest.get("/v2/workspaces")).json()["data"] == []
    assert (await acme.guest.get(f"/v2/workspaces/{acme.workspace_id}")).status_code == 403
    assert (await acme.guest.get(f"/v2/contracts/{acme.contract_id}")).status_code == 403
