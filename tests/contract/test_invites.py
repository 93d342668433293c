"""Invites into contracts: whole documents, refusals and who may (contract sections 4, 9 and 10)."""

from typing import Any

import pytest

from support.app import Caller, TenantInTest, World, error_of
from support.documents import identifier
from support.flows import add_contract

WRONG = "0" * 24
NEW = "New.Person@acme.example"


def invites(acme: TenantInTest) -> str:
    return f"/v2/contracts/{acme.contract_id}/invites"


def invite(email: str = NEW, *roles: str, **more: Any) -> dict[str, Any]:
    attributes = {"email": email, "roles": list(roles or ["member"]), **more}
    return {"data": {"type": "contract-invite", "attributes": attributes}}


def change(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "contract-invite", "attributes": attributes}}


async def made(acme: TenantInTest, **more: Any) -> dict[str, Any]:
    answer = await acme.admin.post(invites(acme), invite(**more))
    assert answer.status_code == 200, answer.text
    resource: dict[str, Any] = answer.json()["data"]
    return resource


async def test_invite(acme: TenantInTest) -> None:
    answer = await acme.admin.post(invites(acme), invite(NEW, "member", "admin", "member"))
    resource = answer.json()["data"]
    attributes = {"email": NEW, "roles": ["member", "admin"]}
    assert answer.status_code == 200
    assert resource == {"id": resource["id"], "type": "contract-invite", "attributes": attributes}
    link = answer.json()["meta"]["setup_link"]
    assert answer.json() == {"data": resource, "meta": {"setup_link": link}}
    assert set(link) == {"url", "expires_at"}
    inside = {"workspace_id": acme.workspace_id, "workspace_roles": ["guest"]}
    second = await made(acme, email="b@acme.example", **inside)
    assert second["attributes"] == {"email": "b@acme.example", "roles": ["member"], **inside}
    assert (await acme.guest.get(invites(acme))).json() == {"data": [resource, second], "meta": {}}


async def test_contract_and_workspace_include_their_invites(acme: TenantInTest) -> None:
    outside = await made(acme)
    inside = await made(
        acme, email="b@acme.example", workspace_id=acme.workspace_id, workspace_roles=["guest"], given="ignored"
    )
    link = {"self": f"{invites(acme)}/"}
    contract, workspace = f"/v2/contracts/{acme.contract_id}", f"/v2/workspaces/{acme.workspace_id}"
    for path, there in ((contract, [outside, inside]), (workspace, [inside])):
        document = (await acme.guest.get(f"{path}?include=members,invites")).json()
        ids = [identifier("contract-invite", each["id"]) for each in there]
        assert document["data"]["relationships"]["invites"] == {"data": ids, "links": link}
        members = (await acme.guest.get(f"{path}?include=members")).json()
        assert document["included"] == [*members["included"], *there], "members first"
        assert (await acme.guest.get(f"{path}?include=invites")).json()["included"] == there
        plain = (await acme.guest.get(path)).json()
        assert "invites" not in plain["data"]["relationships"]
        assert "included" not in plain


async def test_an_invite_changes(acme: TenantInTest) -> None:
    path = f"{invites(acme)}/{(await made(acme))['id']}"
    there = {"workspace_id": acme.workspace_id, "workspace_roles": ["guest"]}
    for body, expected in (
        (change(roles=["admin"], email="other@acme.example"), {"email": NEW, "roles": ["admin"]}),
        (change(), {"email": NEW, "roles": ["admin"]}),
        (change(**there), {"email": NEW, "roles": ["admin"], **there}),
        (
            change(workspace_roles=["integrator"]),
            {"email": NEW, "roles": ["admin"], **there, "workspace_roles": ["integrator"]},
        ),
        (change(workspace_id=None), {"email": NEW, "roles": ["admin"]}),
    ):
        answer = await acme.admin.patch(path, body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["attributes"] == expected
        (listed,) = (await acme.admin.get(invites(acme))).json()["data"]
        assert listed["attributes"] == expected
    assert (await acme.admin.delete(path)).status_code == 204
    assert (await acme.admin.get(invites(acme))).json()["data"] == []
    assert error_of(await acme.admin.delete(path))[:2] == (404, "not_found")
    assert error_of(await acme.admin.patch(path, {}))[:2] == (404, "not_found")


async def test_a_change_is_not_refused_for_what_it_does_not_name(acme: TenantInTest) -> None:
    inside = {"workspace_id": acme.workspace_id, "workspace_roles": ["admin"]}
    path = f"{invites(acme)}/{(await made(acme, **inside))['id']}"
    available = [("contracts", "admin"), ("contracts", "member"), ("workspaces", "integrator"), ("workspaces", "guest")]
    pairs = {"available_roles": [{"scope": scope, "role": role} for scope, role in available]}
    limited = await acme.admin.patch(f"/v2/contracts/{acme.contract_id}", {"data": {"attributes": pairs}})
    assert limited.status_code == 200, limited.text
    answer = await acme.admin.patch(path, change(roles=["admin"]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["attributes"] == {"email": NEW, "roles": ["admin"], **inside}
    refused = await acme.admin.patch(path, change(workspace_roles=["guest", "admin"]))
    assert error_of(refused) == (400, "validation_error", "/data/attributes/workspace_roles/1")


async def test_refused_invites(keyrack: World, acme: TenantInTest) -> None:
    elsewhere = await add_contract(keyrack, acme, "elsewhere")
    at, workspace = "/data/attributes", {"workspace_id": acme.workspace_id}
    member, mine = acme.guest.name.upper(), {"workspace_roles": ["guest"]}
    await made(acme)
    rows: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
        (invite("no email"), (400, "validation_error", f"{at}/email")),
        (invite("a@b.example", "member", "nobody"), (400, "validation_error", f"{at}/roles/1")),
        (invite("a@b.example", "guest"), (400, "validation_error", f"{at}/roles/0")),  # a role of workspaces
        (invite("a@b.example", roles=[]), (400, "validation_error", f"{at}/roles")),
        (invite("a@b.example", **workspace), (400, "validation_error", f"{at}/workspace_roles")),
        (invite("a@b.example", **mine), (400, "validation_error", f"{at}/workspace_roles")),
        (
            invite("a@b.example", **workspace, workspace_roles=["x"]),
            (400, "validation_error", f"{at}/workspace_roles/0"),
        ),
        (invite("a@b.example", workspace_id=WRONG, **mine), (404, "related_not_found", f"{at}/workspace_id")),
        (
            invite("a@b.example", workspace_id=elsewhere.workspace_id, **mine),
            (404, "related_not_found", f"{at}/workspace_id"),
        ),
        (
            invite("a@b.example", workspace_id=keyrack.tenants["Globex"].workspace_id, **mine),
            (404, "related_not_found", f"{at}/workspace_id"),
        ),
        (invite(NEW.lower()), (409, "already_exists", f"{at}/email")),
        (invite(member), (409, "already_exists", f"{at}/email")),
        ({"data": {**invite()["data"], "type": "invite"}}, (409, "type_conflict", "/data/type")),
    ]
    for body, expected in rows:
        assert error_of(await acme.admin.post(invites(acme), body)) == expected, body
    taken = (await acme.admin.get(invites(acme))).json()["data"][0]["id"]
    clash = invite("a@b.example")
    clash["data"]["id"] = taken
    assert error_of(await acme.admin.post(invites(acme), clash)) == (409, "id_conflict", "/data/id")
    path = f"{invites(acme)}/{taken}"
    other = change(roles=["member"])
    other["data"]["id"] = WRONG
    assert error_of(await acme.admin.patch(path, other)) == (409, "id_conflict", "/data/id")
    assert error_of(await acme.admin.patch(path, change(**workspace)))[2] == f"{at}/workspace_roles"
    assert error_of(await acme.admin.patch(path, change(roles=["nobody"])))[2] == f"{at}/roles/0"


async def test_an_invite_of_another_contract_is_not_found(keyrack: World, acme: TenantInTest) -> None:
    there = await add_contract(keyrack, acme, "there")
    path = f"/v2/contracts/{there.contract_id}/invites/{(await made(acme))['id']}"
    assert error_of(await acme.admin.patch(path, change(roles=["admin"])))[:2] == (404, "not_found")
    assert error_of(await acme.admin.delete(path))[:2] == (404, "not_found")


async def test_an_email_of_another_tenant_looks_like_nobodys(keyrack: World, acme: TenantInTest) -> None:
    foreign = keyrack.tenants["Globex"].guest
    answer = await acme.admin.post(invites(acme), invite(foreign.name))
    assert answer.status_code == 200
    assert (await foreign.get("/v2/users/me/invites")).json()["data"] == []


# fmt: off
WHO = [
    # caller,      GET, POST, PATCH, DELETE
    ("admin",      200, 200,  200,   204),
    ("owner",      200, 200,  200,   204),
    ("integrator", 200, 403,  403,   403),
    ("stranger",   403, 403,  403,   403),
    ("elsewhere",  403, 403,  403,   403),
    ("service",    200, 200,  200,   204),
    ("readers",    403, 403,  403,   403),
]
# fmt: on


@pytest.mark.parametrize(("caller", "got", "posted", "patched", "deleted"), WHO)
async def test_who_may(
    keyrack: World, acme: TenantInTest, caller: str, got: int, posted: int, patched: int, deleted: int
) -> None:
    roles = {"data": {"type": "contract-member", "attributes": {"roles": ["owner"]}}}
    owner = f"/v2/contracts/{acme.contract_id}/members/{acme.guest.id}"
    assert (await acme.admin.patch(owner, roles)).status_code == 200
    others: dict[str, Caller] = {
        "owner": acme.guest,
        "elsewhere": keyrack.tenants["Globex"].admin,
        "service": keyrack.support,
        "readers": await keyrack.add_service_account("tenants.oauth_clients.get"),
    }
    who: Caller = others.get(caller) or getattr(acme, caller)
    path = f"{invites(acme)}/{(await made(acme))['id']}"
    assert (await who.get(invites(acme))).status_code == got
    assert (await who.post(invites(acme), invite("c@acme.example"))).status_code == posted
    assert (await who.patch(path, change(roles=["admin"]))).status_code == patched
    assert (await who.delete(path)).status_code == deleted


async def test_contract_owners_offer_roles_only_in_workspaces_whose_members_they_manage(acme: TenantInTest) -> None:
    """Contract roles carry no rights inside workspaces (6.3), and cannot be used to get some."""
    roles = {"data": {"type": "contract-member", "attributes": {"roles": ["owner"]}}}
    for who, workspace_roles in ((acme.guest, ["guest"]), (acme.integrator, ["owner"])):
        assert (await acme.admin.patch(f"/v2/contracts/{acme.contract_id}/members/{who.id}", roles)).status_code == 200
        inside = {"data": {"type": "member", "attributes": {"roles": workspace_roles}}}
        assert (
            await acme.admin.patch(f"/v2/workspaces/{acme.workspace_id}/members/{who.id}", inside)
        ).status_code == 200
    offer: dict[str, Any] = {"workspace_id": acme.workspace_id, "workspace_roles": ["owner"]}
    refused = await acme.guest.post(invites(acme), invite(**offer))
    assert error_of(refused) == (403, "forbidden", "/data/attributes/workspace_id")
    assert (await acme.guest.post(invites(acme), invite())).status_code == 200
    (there,) = (await acme.guest.get(invites(acme))).json()["data"]
    assert (await acme.guest.patch(f"{invites(acme)}/{there['id']}", change(**offer))).status_code == 403
    assert (await acme.integrator.post(invites(acme), invite("b@acme.example", **offer))).status_code == 200


async def test_invites_go_with_the_contract_or_workspace(keyrack: World, acme: TenantInTest) -> None:  # 22
    there = await add_contract(keyrack, acme, "there")
    path = f"/v2/contracts/{there.contract_id}/invites"
    stays = (await acme.admin.post(path, invite())).json()["data"]
    goes = invite("b@acme.example", workspace_id=there.workspace_id, workspace_roles=["guest"])
    assert (await acme.admin.post(path, goes)).status_code == 200
    assert (await there.member.delete(f"/v2/workspaces/{there.workspace_id}")).status_code == 204
    assert (await acme.admin.get(path)).json()["data"] == [stays]
    assert (await acme.admin.delete(f"/v2/contracts/{there.contract_id}")).status_code == 204
    assert (await acme.admin.get(path)).status_code == 404


async def test_a_suspended_contract_invites_nobody(acme: TenantInTest) -> None:
    path = f"{invites(acme)}/{(await made(acme))['id']}"
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/suspend")).status_code == 202
    for answer in (
        await acme.admin.post(invites(acme), invite("b@acme.example")),
        await acme.admin.patch(path, change(roles=["admin"])),
        await acme.admin.delete(path),
    ):
        assert error_of(answer)[:2] == (403, "contract_suspended")
    assert (await acme.admin.get(invites(acme))).status_code == 200
