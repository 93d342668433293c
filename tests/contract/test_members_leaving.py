"""Changing and removing members: contract sections 9 and 10. The last owner stays; flows and credentials pass on."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.store.schema import roles as policy
from support.app import Caller, TenantInTest, World, error_of, relationship
from support.flows import flow_body
from support.secrets import add_client, make

WRONG = "0" * 24


def at(acme: TenantInTest, kind: str, user_id: str) -> str:
    place = f"contracts/{acme.contract_id}" if kind == "contract-member" else f"workspaces/{acme.workspace_id}"
    return f"/v2/{place}/members/{user_id}"


def roles(kind: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"data": {"type": kind, "attributes": {"roles": list(names)}, **more}}


# fmt: off
WHO = [
    # kind,             caller,       PATCH, DELETE
    ("contract-member", "admin",      200,   204),
    ("contract-member", "integrator", 403,   403),
    ("contract-member", "stranger",   403,   403),
    ("contract-member", "elsewhere",  403,   403),
    ("contract-member", "service",    200,   204),
    ("member",          "admin",      200,   204),
    ("member",          "integrator", 403,   403),
    ("member",          "stranger",   403,   403),
    ("member",          "elsewhere",  403,   403),
    ("member",          "service",    200,   204),
]
# fmt: on


@pytest.mark.parametrize(("kind", "caller", "patched", "deleted"), WHO)
async def test_who_may(keyrack: World, acme: TenantInTest, kind: str, caller: str, patched: int, deleted: int) -> None:
    others: dict[str, Caller] = {"elsewhere": keyrack.tenants["Globex"].admin, "service": keyrack.support}
    who: Caller = others.get(caller) or getattr(acme, caller)
    path = at(acme, kind, acme.guest.id)
    assert (await who.patch(path, roles(kind, "admin"))).status_code == patched
    assert (await who.delete(path)).status_code == deleted
    left = (await acme.admin.get(path.rpartition("/")[0])).json()["data"]
    assert (acme.guest.id in {member["id"] for member in left}) == (deleted == 403)


async def test_a_tenant_admin_may_whatever_else_the_role_holds(keyrack: World, acme: TenantInTest) -> None:  # 9
    admins = (policy.c.tenant_id == acme.id, policy.c.scope == "tenants")
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await unit.connection.execute(update(policy).where(*admins).values(permissions=[]))
    admin = await keyrack.add_user(acme.id, "another@acme.example", ["tenant-admin"])
    path = at(acme, "contract-member", acme.guest.id)
    assert (await admin.patch(path, roles("contract-member", "admin"))).status_code == 200
    assert (await admin.delete(path)).status_code == 204


@pytest.mark.parametrize("kind", ["contract-member", "member"])
async def test_a_change_answers_with_the_member(acme: TenantInTest, kind: str) -> None:
    path = at(acme, kind, acme.guest.id)
    answer = await acme.admin.patch(path, roles(kind, "admin", "owner", "admin"))
    listed = (await acme.admin.get(path.rpartition("/")[0])).json()["data"]
    assert answer.json() == {"data": next(each for each in listed if each["id"] == acme.guest.id), "meta": {}}
    assert answer.json()["data"]["attributes"]["roles"] == ["admin", "owner"]


@pytest.mark.parametrize("kind", ["contract-member", "member"])
async def test_refused_changes(acme: TenantInTest, kind: str) -> None:  # sections 3 and 4
    path = at(acme, kind, acme.guest.id)
    pointer = "/data/attributes/roles"
    for body, expected in (
        (roles("user", "admin"), (409, "type_conflict", "/data/type")),
        (roles(kind, "admin", id=WRONG), (409, "id_conflict", "/data/id")),
        (roles(kind, "admin", "nobody"), (400, "validation_error", f"{pointer}/1")),
        (roles(kind), (400, "validation_error", pointer)),
        ({"data": {"type": kind, "attributes": {}}}, (400, "validation_error", pointer)),
    ):
        assert error_of(await acme.admin.patch(path, body)) == expected
    for user in (acme.stranger.id, WRONG, "nonsense"):
        assert error_of(await acme.admin.patch(at(acme, kind, user), {}))[:2] == (404, "not_found")
        assert error_of(await acme.admin.delete(at(acme, kind, user)))[:2] == (404, "not_found")


async def test_the_last_owner_of_a_contract_stays(acme: TenantInTest) -> None:  # 9
    kind, path = "contract-member", at(acme, "contract-member", acme.admin.id)
    assert error_of(await acme.admin.delete(path))[:2] == (409, "state_conflict")
    demoted = await acme.admin.patch(path, roles(kind, "member"))
    assert error_of(demoted) == (409, "state_conflict", "/data/attributes/roles")
    assert (await acme.admin.patch(path, roles(kind, "owner"))).status_code == 200
    assert (await acme.admin.patch(at(acme, kind, acme.integrator.id), roles(kind, "owner"))).status_code == 200
    assert (await acme.admin.delete(path)).status_code == 204


async def test_the_last_member_may_go(acme: TenantInTest) -> None:  # 9: refused only while other members remain
    for who in (acme.guest, acme.integrator, acme.admin):
        assert (await acme.admin.delete(at(acme, "contract-member", who.id))).status_code == 204
    assert (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"] == []


async def test_two_owners_cannot_both_leave_at_once(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    both = [at(acme, "contract-member", who.id) for who in (acme.admin, acme.integrator)]
    assert (await acme.admin.patch(both[1], roles("contract-member", "owner"))).status_code == 200
    answers = await asyncio.gather(*(keyrack_on_each.support.delete(path) for path in both))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def belongings(world: World, acme: TenantInTest) -> tuple[str, str, str]:
    """Let the integrator make a flow, a credential and a secret; return their paths."""
    component = await world.add_component(acme, "timer", {"title": "Timer", "triggers": {"tick": {"title": "Tick"}}})
    flow = await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/timer:tick"))
    related = {
        "component": relationship("component", component),
        "workspace": relationship("workspace", acme.workspace_id),
    }
    data = {"type": "credential", "attributes": {"name": "Mine"}, "relationships": related}
    credential = await acme.integrator.post("/v2/credentials", {"data": data})
    assert (flow.status_code, credential.status_code) == (201, 201)
    secret = await make(acme.integrator, acme.workspace_id, await add_client(world, acme))
    return (
        f"/v2/flows/{flow.json()['data']['id']}",
        f"/v2/credentials/{credential.json()['data']['id']}",
        f"/v2/workspaces/{acme.workspace_id}/secrets/{secret['id']}",
    )


@pytest.mark.parametrize("kind", ["contract-member", "member"])
@pytest.mark.parametrize("caller", ["admin", "service"])
async def test_flows_credentials_and_secrets_pass_on(
    keyrack: World, acme: TenantInTest, kind: str, caller: str
) -> None:  # 10
    paths = await belongings(keyrack, acme)
    who = acme.admin if caller == "admin" else keyrack.support  # which is no user: the workspace's owner takes over
    assert (await who.delete(at(acme, kind, acme.integrator.id))).status_code == 204
    for path in paths:
        data = (await acme.admin.get(path)).json()["data"]
        assert data["relationships"]["user"]["data"]["id"] == acme.admin.id
        assert (await acme.integrator.get(path)).status_code == (403 if "/secrets/" in path else 404)


async def test_who_leaves_a_contract_leaves_its_workspaces_and_teams(acme: TenantInTest) -> None:
    assert (
        await acme.admin.patch(at(acme, "contract-member", acme.guest.id), roles("contract-member", "owner"))
    ).is_success
    assert (await acme.guest.get(f"/v2/workspaces/{acme.workspace_id}")).status_code == 200
    assert (await acme.admin.delete(at(acme, "contract-member", acme.admin.id))).status_code == 204
    team = (await acme.admin.get(f"/v2/teams/{acme.team_id}")).json()["data"]
    assert team["relationships"]["users"]["data"] == []
    members = (await acme.guest.get(f"/v2/workspaces/{acme.workspace_id}/members")).json()["data"]
    assert acme.admin.id not in {member["id"] for member in members}
