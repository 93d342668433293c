"""What becomes of an invite: contract section 9, decision 14."""

import asyncio
from typing import Any

import pytest

from keyrack.service.operator.accounts import Accounts
from keyrack.store.contracts import ContractRows
from keyrack.store.invites import ContractInvites
from support.app import Caller, TenantInTest, World, error_of
from support.documents import identifier, rel
from support.flows import add_contract, site, step_of
from support.waits_and_faults import in_turn

NEW = "New.Person@acme.example"
MINE = "/v2/users/me/invites"


def invites(acme: TenantInTest) -> str:
    return f"/v2/contracts/{acme.contract_id}/invites"


async def invited(acme: TenantInTest, email: str, *roles: str, contract_id: str = "", **more: Any) -> str:
    attributes = {"email": email, "roles": list(roles or ["member"]), **more}
    path = f"/v2/contracts/{contract_id or acme.contract_id}/invites"
    answer = await acme.admin.post(path, {"data": {"type": "contract-invite", "attributes": attributes}})
    assert answer.status_code == 200, answer.text
    identity: str = answer.json()["data"]["id"]
    return identity


async def arrives(acme: TenantInTest, email: str) -> str:
    attributes = {"first_name": "N", "last_name": "P", "email": email, "password": "correct h0rse"}
    answer = await acme.admin.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})
    assert answer.status_code == 201, answer.text
    identity: str = answer.json()["data"]["id"]
    return identity


async def members(who: Caller, place: str) -> dict[str, list[str]]:
    listed = (await who.get(f"/v2/{place}/members")).json()["data"]
    return {each["id"]: each["attributes"]["roles"] for each in listed}


async def test_who_is_created_with_an_invited_email_is_a_member_at_once(keyrack: World, acme: TenantInTest) -> None:
    there = await add_contract(keyrack, acme, "there")
    await invited(acme, NEW, "admin", workspace_id=acme.workspace_id, workspace_roles=["integrator"])
    await invited(acme, NEW.lower(), "owner", contract_id=there.contract_id)
    await invited(acme, "another@acme.example")
    user = await arrives(acme, NEW.upper())
    assert (await members(acme.admin, f"contracts/{acme.contract_id}"))[user] == ["admin"]
    assert (await members(acme.admin, f"workspaces/{acme.workspace_id}"))[user] == ["integrator"]
    assert (await members(acme.admin, f"contracts/{there.contract_id}"))[user] == ["owner"]
    left = (await acme.admin.get(invites(acme))).json()["data"]
    assert [each["attributes"]["email"] for each in left] == ["another@acme.example"]
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=contract-invite.accept")).json()["data"]
    assert [(each["attributes"]["actor"], each["attributes"]["target"]["id"]) for each in events] == [
        (acme.admin.name, user)
    ] * 2


async def test_an_operator_creates_a_member_too(keyrack: World, acme: TenantInTest) -> None:
    await invited(acme, NEW)
    user, _ = await Accounts(keyrack.store).create_user(NEW, acme.id, tenant_admin=False)
    assert (await members(acme.admin, f"contracts/{acme.contract_id}"))[user.id] == ["member"]


async def test_a_user_of_the_tenant_sees_and_accepts_an_invite(acme: TenantInTest) -> None:
    inside: dict[str, Any] = {"workspace_id": acme.workspace_id, "workspace_roles": ["guest"]}
    invite = await invited(acme, acme.stranger.name, "member", **inside)
    assert acme.stranger.id not in await members(acme.admin, f"contracts/{acme.contract_id}"), "not without asking"
    attributes = {"email": acme.stranger.name, "roles": ["member"], **inside}
    resource = {
        **identifier("contract-invite", invite),
        "attributes": attributes,
        "relationships": {"contract": rel("contract", acme.contract_id)},
    }
    assert (await acme.stranger.get(MINE)).json() == {"data": [resource], "meta": {}}
    accepted = await acme.stranger.post(f"{MINE}/{invite}/accept")
    assert accepted.status_code == 200, accepted.text
    listed = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"]
    assert accepted.json()["data"] == next(each for each in listed if each["id"] == acme.stranger.id)
    assert (await members(acme.stranger, f"workspaces/{acme.workspace_id}"))[acme.stranger.id] == ["guest"]
    assert (await acme.stranger.get(MINE)).json()["data"] == []
    assert error_of(await acme.stranger.post(f"{MINE}/{invite}/accept"))[:2] == (404, "not_found")


async def test_nobody_accepts_for_another(keyrack: World, acme: TenantInTest) -> None:
    invite = await invited(acme, acme.stranger.name)
    for who in (acme.integrator, acme.admin, keyrack.tenants["Globex"].admin):
        assert error_of(await who.post(f"{MINE}/{invite}/accept"))[:2] == (404, "not_found")
    step = await step_of(keyrack, (await site(keyrack, acme, "steps")).flow_id)
    for who in (keyrack.support, step):
        assert error_of(await who.post(f"{MINE}/{invite}/accept"))[:2] == (403, "forbidden")
        assert error_of(await who.get(MINE))[:2] == (403, "forbidden")


async def test_a_member_added_directly_has_nothing_to_accept(acme: TenantInTest) -> None:
    await invited(acme, acme.stranger.name)
    body = {"data": {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["admin"]}}}
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", body)).status_code == 200
    assert (await acme.admin.get(invites(acme))).json()["data"] == []
    assert (await acme.stranger.get(MINE)).json()["data"] == []


async def test_what_cannot_be_accepted_waits(acme: TenantInTest) -> None:
    empty = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": "Empty"}}})
    contract_id = empty.json()["data"]["id"]
    first = await invited(acme, acme.stranger.name, contract_id=contract_id)
    refused = await acme.stranger.post(f"{MINE}/{first}/accept")
    assert error_of(refused)[:2] == (409, "state_conflict"), "the first member must be an owner, as with members"
    suspended = await invited(acme, acme.stranger.name)
    await invited(acme, NEW)
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/suspend")).status_code == 202
    assert error_of(await acme.stranger.post(f"{MINE}/{suspended}/accept"))[:2] == (403, "contract_suspended")
    await arrives(acme, NEW)
    assert len((await acme.admin.get(invites(acme))).json()["data"]) == 2
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/unsuspend")).status_code == 204
    assert (await acme.stranger.post(f"{MINE}/{suspended}/accept")).status_code == 200


async def test_roles_that_are_no_longer_available_are_not_given(acme: TenantInTest) -> None:
    both = await invited(acme, acme.stranger.name, "member", "admin")
    await invited(acme, NEW, "member")
    available = [{"scope": "contracts", "role": "admin"}]
    roles = {"data": {"type": "contract-member", "attributes": {"roles": ["admin"]}}}
    for who in (acme.integrator, acme.guest):
        path = f"/v2/contracts/{acme.contract_id}/members/{who.id}"
        assert (await acme.admin.patch(path, roles)).status_code == 200
        path = f"/v2/workspaces/{acme.workspace_id}/members/{who.id}"
        assert (await acme.admin.delete(path)).status_code == 204
    body = {"data": {"type": "contract", "attributes": {"available_roles": available}}}
    changed = await acme.admin.patch(f"/v2/contracts/{acme.contract_id}", body)
    assert changed.status_code == 200, changed.text
    accepted = await acme.stranger.post(f"{MINE}/{both}/accept")
    assert accepted.json()["data"]["attributes"]["roles"] == ["admin"]
    user = await arrives(acme, NEW)
    assert user not in await members(acme.admin, f"contracts/{acme.contract_id}"), "nothing is left to be given"


async def test_one_email_is_invited_once_at_a_time(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    attributes = {"email": NEW, "roles": ["member"]}
    body = {"data": {"type": "contract-invite", "attributes": attributes}}
    answers = await asyncio.gather(*(acme.admin.post(invites(acme), body) for _ in range(10)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(409)) == (1, 9)


async def test_an_invite_is_accepted_once(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    invite = await invited(acme, acme.stranger.name)
    answers = await asyncio.gather(*(acme.stranger.post(f"{MINE}/{invite}/accept") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]


async def test_an_invite_taken_back_at_this_moment_makes_nobody_a_member(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    invite = await invited(acme, acme.stranger.name)
    accepting, deleting = await in_turn(
        monkeypatch,
        (ContractInvites, "remove"),
        acme.stranger.post(f"{MINE}/{invite}/accept"),
        acme.admin.delete(f"{invites(acme)}/{invite}"),
    )
    assert accepting.status_code == 200
    assert deleting.status_code == 404, "it was accepted, so there is nothing to take back"


async def test_nobody_is_member_and_invited(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    joins = {"data": {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}}
    attributes = {"email": acme.stranger.name, "roles": ["member"]}
    body = {"data": {"type": "contract-invite", "attributes": attributes}}
    inviting, joining = await in_turn(
        monkeypatch,
        (ContractInvites, "add"),
        acme.admin.post(invites(acme), body),
        acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", joins),
    )
    assert [inviting.status_code, joining.status_code] == [200, 200]
    assert (await acme.admin.get(invites(acme))).json()["data"] == []


async def test_who_becomes_a_member_at_this_moment_is_not_invited(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    joins = {"data": {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}}
    body = {"data": {"type": "contract-invite", "attributes": {"email": acme.stranger.name, "roles": ["member"]}}}
    joining, inviting = await in_turn(
        monkeypatch,
        (ContractInvites, "remove_of"),
        acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", joins),
        acme.admin.post(invites(acme), body),
    )
    assert joining.status_code == 200
    assert error_of(inviting)[:2] == (409, "already_exists")


async def test_a_user_is_created_though_the_inviting_contract_goes(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    made = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": "Short"}}})
    contract_id = made.json()["data"]["id"]
    await invited(acme, NEW, "owner", contract_id=contract_id)
    deleting, arriving = await in_turn(
        monkeypatch, (ContractRows, "remove"), acme.admin.delete(f"/v2/contracts/{contract_id}"), arrives(acme, NEW)
    )
    assert deleting.status_code == 204
    assert arriving
