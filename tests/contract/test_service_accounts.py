"""Service accounts over the API (extension, contract 0.16): list, show, change and delete, for those who hold it."""

from typing import Any

from keyrack.clock import iso
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.audit_log import AuditLog
from support.app import World, error_of

PATH = "/v2/service-accounts"
RUNNER = ("global.runtime_env.get", "global.task_keys.create")


def change(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "service-account", "attributes": attributes}}


async def audited(world: World, action: str) -> list[tuple[str, str | None, str]]:
    """Return actor, target and outcome of events in the installation's own log, newest first."""
    async with world.store.installation() as unit:
        found = await AuditLog(unit).newest({"action": action}, None, limit=None)
    return [(event.actor, event.target_id, event.outcome) for event in found]


async def test_they_are_listed_in_pages_and_shown_without_keys(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    runner = await world.add_service_account(*RUNNER)
    watcher = await world.add_service_account("global.service_accounts.get")
    listed = (await watcher.get(PATH)).json()
    assert [account["id"] for account in listed["data"]] == sorted(account["id"] for account in listed["data"])
    assert {account["id"] for account in listed["data"]} >= {runner.id, watcher.id}
    page = (await watcher.get(f"{PATH}?page[size]=2&page[number]=2")).json()
    assert page["meta"] == {"page": 2, "per_page": 2, "total": 3, "total_pages": 2}
    assert page["data"] == listed["data"][2:]
    answer = await watcher.get(f"{PATH}/{runner.id}")
    shown = answer.json()["data"]
    async with world.store.installation() as unit:
        stored = await ServiceAccounts(unit).find(runner.id)
    assert stored is not None
    assert shown == {
        "id": runner.id,
        "type": "service-account",
        "links": {"self": f"{PATH}/{runner.id}"},
        "attributes": {
            "username": runner.name,
            "permissions": sorted(RUNNER),
            "created_at": iso(stored.created_at),
        },
    }
    assert shown in listed["data"]
    assert runner.api_key not in answer.text + str(listed)


async def test_a_change_counts_at_once_and_the_keys_stay(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    account = await world.add_service_account("global.metrics.get", "tenants.tenant.get")
    assert (await account.get("/v2/tenants")).status_code == 200
    fewer = await world.support.patch(f"{PATH}/{account.id}", change(permissions=["tenants.oauth_client.get"] * 2))
    assert fewer.json()["data"]["attributes"]["permissions"] == ["tenants.oauth_clients.get"], "without alias or repeat"
    assert (await account.get("/v2/tenants")).status_code == 403
    acme = world.tenants["Acme"]
    assert (await account.get(f"/v2/tenants/{acme.id}/oauth-clients")).status_code == 200
    renamed = await world.support.patch(f"{PATH}/{account.id}", change(username="prometheus"))
    assert renamed.json()["data"]["attributes"] | {"created_at": ""} == {
        "username": "prometheus",
        "permissions": ["tenants.oauth_clients.get"],
        "created_at": "",
    }
    assert (await account.get(f"/v2/tenants/{acme.id}/oauth-clients")).status_code == 401, "under the old name"
    again = await world.http.get(f"/v2/tenants/{acme.id}/oauth-clients", auth=("prometheus", account.api_key))
    assert again.status_code == 200
    assert await audited(world, "service-account.edit") == [(world.support.name, account.id, "allowed")] * 2


async def test_a_deleted_one_is_locked_out_at_once(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    account = await world.add_service_account("tenants.tenant.get")
    assert (await account.get("/v2/tenants")).status_code == 200
    assert (await world.support.delete(f"{PATH}/{account.id}")).status_code == 204
    assert (await account.get("/v2/tenants")).status_code == 401
    assert (await world.support.get(f"{PATH}/{account.id}")).status_code == 404
    assert (await world.support.delete(f"{PATH}/{account.id}")).status_code == 404
    assert await audited(world, "service-account.delete") == [(world.support.name, account.id, "allowed")]


async def test_nobody_gives_what_they_do_not_hold(keyrack: World) -> None:
    editor = await keyrack.add_service_account("global.service_accounts.edit", "global.metrics.get")
    other = await keyrack.add_service_account("tenants.tenant.get")
    for target, given in (
        (editor, ["global.service_accounts.edit", "global.service_accounts.delete"]),
        (other, ["tenants.tenant.get", "tenants.tenant.delete"]),
    ):
        refused = await editor.patch(f"{PATH}/{target.id}", change(permissions=given))
        assert error_of(refused)[:2] == (403, "forbidden")
        assert given[1] in refused.text
        assert given[0] not in refused.text
    assert [event[2] for event in await audited(keyrack, "service-account.edit")] == ["denied", "denied"]
    more = await editor.patch(f"{PATH}/{other.id}", change(permissions=["tenants.tenant.get", "global.metrics.get"]))
    assert more.status_code == 200, "what it has already may stay, and what the caller holds may be added"
    assert (await editor.patch(f"{PATH}/{other.id}", change(permissions=[]))).status_code == 200
    assert (await editor.get(f"{PATH}/{other.id}")).status_code == 404, "who may not see them does not"


async def test_what_is_wrong_with_a_change_is_pointed_at(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    account = await world.add_service_account("global.metrics.get")
    path = f"{PATH}/{account.id}"
    for attributes, code, pointer in (
        ({"permissions": ["no.such"]}, "validation_error", "/data/attributes/permissions"),
        ({"permissions": "global.metrics.get"}, "validation_error", "/data/attributes/permissions"),
        ({"username": "somebody@acme.example"}, "validation_error", "/data/attributes/username"),
        ({"username": "a:b"}, "validation_error", "/data/attributes/username"),
        ({"username": " "}, "validation_error", "/data/attributes/username"),
        ({"username": ""}, "validation_error", "/data/attributes/username"),
    ):
        status, found, at = error_of(await world.support.patch(path, change(**attributes)))
        assert (status, found, at) == (400, code, pointer), attributes
    taken = await world.support.patch(path, change(username=world.support.name))
    assert error_of(taken)[:2] == (409, "already_exists")
    other = {"data": {"type": "service-account", "id": "0" * 24, "attributes": {}}}
    assert error_of(await world.support.patch(path, other))[:2] == (409, "id_conflict")
    wrong = {"data": {"type": "user", "attributes": {}}}
    assert (await world.support.patch(path, wrong)).status_code == 409
    unchanged = await world.support.get(path)
    assert unchanged.json()["data"]["attributes"]["permissions"] == ["global.metrics.get"]


async def test_a_role_that_holds_the_permissions_lets_no_user_in(keyrack: World) -> None:  # decision 6, 6.4
    acme = keyrack.tenants["Acme"]
    roles = (await keyrack.support.get(f"/v2/tenants/{acme.id}/roles")).json()["data"]["attributes"]["roles"]
    for role in roles:
        role["permissions"] += [f"global.service_accounts.{action}" for action in ("get", "edit", "delete")]
    policy = {"data": {"type": "tenant-policy", "attributes": {"roles": roles}}}
    assert (await keyrack.support.patch(f"/v2/tenants/{acme.id}/roles", policy)).status_code == 200
    account = await keyrack.add_service_account("global.metrics.get")
    assert (await acme.admin.get(PATH)).status_code == 403
    assert (await acme.admin.get(f"{PATH}/{account.id}")).status_code == 404
    assert (await acme.admin.patch(f"{PATH}/{account.id}", change(permissions=[]))).status_code == 404
    assert (await acme.admin.delete(f"{PATH}/{account.id}")).status_code == 404
