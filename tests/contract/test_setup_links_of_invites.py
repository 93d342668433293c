"""Invites for addresses without an account: who is shown their link, what it gives and to whom (decision 24)."""

import asyncio
from typing import Any

import pytest

from keyrack.model.tenancy import Role
from keyrack.store.contracts import ContractMembers
from keyrack.store.setup_links import SetupLinks
from keyrack.store.tenants import RolePolicy
from support.app import Caller, TenantInTest, World
from support.flows import add_contract
from support.setup_links import NAMES, give_roles, invited, is_refused, key_from, newcomer, use

NEW = "new.person@acme.example"


async def link_of(who: Caller, acme: TenantInTest, email: str = NEW, *roles: str, **more: Any) -> str:
    answer = await invited(who, acme.contract_id, email, *roles, **more)
    url: str = answer.json()["meta"]["setup_link"]["url"]
    return url


async def members(who: Caller, place: str) -> dict[str, list[str]]:
    listed = (await who.get(f"/v2/{place}/members")).json()["data"]
    return {each["attributes"]["email"]: each["attributes"]["roles"] for each in listed}


async def inviter(keyrack: World, acme: TenantInTest, *tenant_permissions: str) -> Caller:
    """An owner of the contract, with some permissions in the tenant."""
    if tenant_permissions:
        role = Role("tenants", "some", frozenset(tenant_permissions), {"en": "Some"})
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await RolePolicy(unit).replace([*await RolePolicy(unit).list(), role])
    who = await keyrack.add_user(acme.id, "owner@acme.example", ["some"] if tenant_permissions else [])
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await ContractMembers(unit).add(acme.contract_id, who.id, ["owner"])
    return who


async def test_an_invite_gives_account_membership_and_key(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    inside: dict[str, Any] = {"workspace_id": acme.workspace_id, "workspace_roles": ["integrator"]}
    url = await link_of(acme.admin, acme, NEW, "member", "admin", **inside)
    looked = await keyrack_on_each.http.get(url)
    assert (looked.status_code, NEW in looked.text, "Acme contract" in looked.text) == (200, True, True)
    person = await key_from(keyrack_on_each, url, NEW, **NAMES)
    me = (await person.get("/v2/users/me")).json()["data"]["attributes"]
    assert (me["first_name"], me["last_name"], me["email"]) == ("Nora", "Person", NEW)
    assert (await members(acme.admin, f"contracts/{acme.contract_id}"))[NEW] == ["member", "admin"]
    assert (await members(person, f"workspaces/{acme.workspace_id}"))[NEW] == ["integrator"]
    assert (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/invites")).json()["data"] == []
    assert await is_refused(keyrack_on_each, url, **NAMES)
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?actor={NEW}")).json()["data"]
    assert [each["attributes"]["action"] for each in events] == [
        "user.create", "contract-invite.accept", "setup-link.use", "api-key.create",
    ]  # fmt: skip


async def test_it_joins_wherever_the_address_is_invited(keyrack: World, acme: TenantInTest) -> None:
    there = await add_contract(keyrack, acme, "there")
    await invited(acme.admin, there.contract_id, NEW, "owner")
    await key_from(keyrack, await link_of(acme.admin, acme), NEW, **NAMES)
    assert (await members(acme.admin, f"contracts/{there.contract_id}"))[NEW] == ["owner"]


async def test_of_two_who_accept_at_once_one_gets_a_key(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    url = await link_of(acme.admin, acme)
    answers = await asyncio.gather(*(use(keyrack_on_each, url, **NAMES) for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [200] + [400] * 5


async def test_without_a_name_it_asks_again(keyrack: World, acme: TenantInTest) -> None:
    url = await link_of(acme.admin, acme)
    for form in ({}, {"first_name": "Nora"}, {"first_name": " \x00\u202e ", "last_name": "P"}):
        answer = await use(keyrack, url, **form)
        assert (answer.status_code, "both names are needed" in answer.text) == (400, True)
    assert 'value="Nora"' in (await use(keyrack, url, first_name="Nora")).text, "what was given is kept"
    await key_from(keyrack, url, NEW, **NAMES)


async def test_who_has_an_account_gets_none(keyrack: World, acme: TenantInTest) -> None:
    answer = await invited(acme.admin, acme.contract_id, acme.stranger.name.upper())
    assert answer.json()["meta"] == {}
    async with keyrack.store.unit(acme.id) as unit:
        assert not (await unit.connection.execute(SetupLinks(unit).select())).all()


async def test_an_address_of_another_tenant_is_like_nobodys(keyrack: World, acme: TenantInTest) -> None:
    other = keyrack.tenants["Globex"].stranger
    url = await link_of(acme.admin, acme, other.name)
    assert (await keyrack.http.get(url)).status_code == 200
    assert await is_used_like_an_unknown_one(keyrack, url)
    assert (await other.get("/v2/users/me")).status_code == 200


async def is_used_like_an_unknown_one(keyrack: World, url: str) -> bool:
    answer, unknown = await use(keyrack, url, **NAMES), await use(keyrack, "/setup?link=x", **NAMES)
    title = "<h1>This link is not valid</h1>"
    return answer.status_code == unknown.status_code == 400 and title in answer.text and title in unknown.text


@pytest.mark.parametrize("ends", ["revoked", "account", "accepted", "member"])
async def test_a_link_ends_with_its_invite(keyrack: World, acme: TenantInTest, ends: str) -> None:
    answer = await invited(acme.admin, acme.contract_id, NEW)
    url, invite_id = answer.json()["meta"]["setup_link"]["url"], answer.json()["data"]["id"]
    if ends == "revoked":
        gone = await acme.admin.delete(f"/v2/contracts/{acme.contract_id}/invites/{invite_id}")
        assert gone.status_code == 204
    else:
        await newcomer(acme.admin, NEW)  # who joins at once
    assert await is_refused(keyrack, url, **NAMES)


async def test_a_suspended_contract_keeps_the_link(keyrack: World, acme: TenantInTest) -> None:
    url = await link_of(acme.admin, acme)
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/suspend")).status_code == 202
    answer = await use(keyrack, url, **NAMES)
    assert (answer.status_code, "suspended" in answer.text) == (409, True)
    assert (await acme.admin.get(f"/v2/users?email={NEW}")).json()["data"] == [], "nothing is half done"
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/unsuspend")).status_code == 204
    await key_from(keyrack, url, NEW, **NAMES)


async def test_who_may_not_create_users_is_shown_no_link(keyrack: World, acme: TenantInTest) -> None:
    owner = await inviter(keyrack, acme)
    assert (await invited(owner, acme.contract_id, NEW)).json()["meta"] == {}
    async with keyrack.store.unit(acme.id) as unit:
        assert not (await unit.connection.execute(SetupLinks(unit).select())).all(), "nobody could have it"


async def test_nobody_gains_by_inviting(keyrack: World, acme: TenantInTest) -> None:
    owner = await inviter(keyrack, acme, "tenants.user.create")
    inside: dict[str, Any] = {"workspace_id": acme.workspace_id, "workspace_roles": ["owner"]}
    there = await add_contract(keyrack, acme, "there")
    assert "setup_link" not in (await invited(owner, acme.contract_id, "a@acme.example", "admin")).json()["meta"]
    earlier = await link_of(owner, acme, NEW, "owner")
    await invited(acme.admin, there.contract_id, NEW, "owner")
    assert await is_refused(keyrack, earlier, **NAMES), "it would join there too"
    other = "b@acme.example"
    answer = await invited(owner, acme.contract_id, other, "owner")
    invite_id, url = answer.json()["data"]["id"], answer.json()["meta"]["setup_link"]["url"]
    body = {"data": {"type": "contract-invite", "attributes": inside}}
    changed = await acme.admin.patch(f"/v2/contracts/{acme.contract_id}/invites/{invite_id}", body)
    assert changed.status_code == 200, changed.text
    assert await is_refused(keyrack, url, **NAMES), "somebody else offers more in it"


async def test_a_link_ends_with_its_makers_rights(keyrack: World, acme: TenantInTest) -> None:
    owner = await inviter(keyrack, acme, "tenants.user.create")
    url = await link_of(owner, acme, NEW, "owner")
    await give_roles(acme, owner.id)
    assert await is_refused(keyrack, url, **NAMES)
    await give_roles(acme, owner.id, "some")
    await key_from(keyrack, url, NEW, **NAMES)
