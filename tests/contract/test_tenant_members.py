"""The roles that a user holds in the tenant itself: granting and revoking `tenant-admin` and others (contract 6.4)."""

from typing import Any

import httpx2

from support.app import Caller, TenantInTest, World, error_of
from support.documents import rel


async def give(who: Caller, tenant: str, user: str, *roles: str, **more: Any) -> httpx2.Response:
    data = {"type": "tenant-member", "attributes": {"roles": list(roles)}, **more}
    return await who.patch(f"/v2/tenants/{tenant}/members/{user}", {"data": data})


async def test_tenant_admin_is_granted_and_revoked(acme: TenantInTest) -> None:
    path = f"/v2/tenants/{acme.id}"
    assert (await acme.stranger.get(path)).status_code == 403
    granted = await give(acme.admin, acme.id, acme.stranger.id, "tenant-admin")
    assert granted.status_code == 200
    assert granted.json() == {
        "data": {
            "id": acme.stranger.id,
            "type": "tenant-member",
            "attributes": {"roles": ["tenant-admin"]},
            "relationships": {"user": rel("user", acme.stranger.id), "tenant": rel("tenant", acme.id)},
        },
        "meta": {},
    }
    assert (await acme.stranger.get(path)).status_code == 200
    revoked = await give(acme.admin, acme.id, acme.stranger.id)
    assert revoked.json()["data"]["attributes"] == {"roles": []}
    assert (await acme.stranger.get(path)).status_code == 403


async def test_custom_roles_of_the_tenant_are_given_too(keyrack: World, acme: TenantInTest) -> None:
    roles = (await keyrack.support.get(f"/v2/tenants/{acme.id}/roles")).json()["data"]["attributes"]["roles"]
    roles.append({"scope": "tenants", "role": "clerk", "permissions": ["tenants.user.list_all"]})
    body = {"data": {"type": "tenant-policy", "attributes": {"roles": roles}}}
    assert (await keyrack.support.patch(f"/v2/tenants/{acme.id}/roles", body)).status_code == 200
    given = await give(acme.admin, acme.id, acme.stranger.id, "clerk", "clerk")
    assert given.json()["data"]["attributes"] == {"roles": ["clerk"]}
    assert (await acme.stranger.get("/v2/users")).status_code == 200
    assert (await acme.stranger.get(f"/v2/tenants/{acme.id}")).status_code == 403, "a clerk is no admin"
    both = await give(acme.admin, acme.id, acme.stranger.id, "clerk", "tenant-admin")
    assert both.json()["data"]["attributes"] == {"roles": ["clerk", "tenant-admin"]}


async def test_a_role_the_tenant_does_not_have_is_refused(acme: TenantInTest) -> None:
    answer = await give(acme.admin, acme.id, acme.stranger.id, "tenant-admin", "king", "integrator", "owner")
    assert answer.status_code == 400, "roles of contracts and workspaces are none of the tenant's"
    pointers = [error["source"]["pointer"] for error in answer.json()["errors"]]
    assert pointers == [f"/data/attributes/roles/{index}" for index in (1, 2, 3)]
    assert (await acme.stranger.get(f"/v2/tenants/{acme.id}")).status_code == 403, "nothing was given"


async def test_users_are_those_of_the_tenant(keyrack: World, acme: TenantInTest) -> None:
    for user in ("0" * 24, "nonsense", keyrack.tenants["Globex"].stranger.id):
        assert error_of(await give(acme.admin, acme.id, user, "king"))[:2] == (404, "not_found")
    assert error_of(await give(keyrack.support, "f" * 24, acme.stranger.id))[:2] == (404, "not_found")


async def test_who_may_give_roles(keyrack: World, acme: TenantInTest) -> None:
    others = [acme.integrator, acme.stranger, keyrack.tenants["Globex"].admin, await keyrack.add_service_account()]
    for who in others:
        for user in (acme.stranger.id, "f" * 24):
            assert error_of(await give(who, acme.id, user, "tenant-admin"))[:2] == (403, "forbidden")
    path = f"/v2/tenants/{acme.id}/members/{acme.stranger.id}"
    assert (await keyrack.http.patch(path, json={})).status_code == 401
    account = await keyrack.add_service_account("tenants.membership.edit")
    assert (await give(account, acme.id, acme.stranger.id, "tenant-admin")).status_code == 200
    (event,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=tenant-member.change")).json()["data"][
        -1:
    ]
    assert (event["attributes"]["actor"], event["attributes"]["outcome"]) == (account.name, "allowed")


async def test_bodies(acme: TenantInTest) -> None:
    path = f"/v2/tenants/{acme.id}/members/{acme.guest.id}"
    for data, expected in (
        ({"attributes": {"roles": []}}, (400, "validation_error", "/data/type")),
        ({"type": "member", "attributes": {"roles": []}}, (409, "type_conflict", "/data/type")),
        ({"type": "tenant-member", "attributes": {}}, (400, "validation_error", "/data/attributes/roles")),
        (
            {"type": "tenant-member", "attributes": {"roles": [""]}},
            (400, "validation_error", "/data/attributes/roles/0"),
        ),
        ({"type": "tenant-member", "id": acme.admin.id, "attributes": {"roles": []}}, (409, "id_conflict", "/data/id")),
    ):
        assert error_of(await acme.admin.patch(path, {"data": data})) == expected
    same = await give(acme.admin, acme.id, acme.guest.id, id=acme.guest.id)
    assert same.status_code == 200
