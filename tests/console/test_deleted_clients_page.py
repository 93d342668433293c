"""Deleted clients in the console: the undo after a deletion, and the page of all that can be restored."""

import pytest

from support.app import World
from support.consent import add_oauth_client
from support.console import signed_in
from support.deleted_clients import KINDS, OAUTH, SECRET, Deleting
from support.registration_desk import Time

PAGE = "/console/deleted-clients"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deletion_is_undone_right_after_it(keyrack: World, kind: str) -> None:
    deleting = Deleting(keyrack, Time())
    client_id, listed = await deleting.client(kind), f"/console/{kind}s"
    browser = await signed_in(keyrack, deleting.admin, deleting.acme.id)
    await browser.get(f"{listed}/{client_id}/delete")
    gone = await browser.post(f"{listed}/{client_id}/delete")
    assert gone.headers["location"] == f"{listed}?done=deleted&undo={client_id}"
    undo = f'action="{PAGE}/{client_id}/restore"'
    assert undo in (await browser.get(gone.headers["location"])).text
    assert undo not in (await browser.get(listed)).text
    assert undo not in (await browser.get(f"{listed}?done=changed&undo={client_id}")).text
    for not_deleted in ("f" * 24, "'\"><b>x</b>"):
        told = await browser.get(f"{listed}?done=deleted&undo={not_deleted}")
        assert PAGE + "/" not in told.text
    restored = await browser.post(f"{PAGE}/{client_id}/restore")
    assert (restored.status_code, restored.headers["location"]) == (303, f"{PAGE}?done=restored")
    assert "is restored" in (await browser.get(restored.headers["location"])).text
    assert (await browser.get(f"{listed}/{client_id}")).status_code == 200
    assert (await browser.post(f"{PAGE}/{client_id}/restore")).status_code == 404


async def test_the_page_says_what_clashes_and_purges(keyrack: World) -> None:
    deleting = Deleting(keyrack, Time())
    client_id = await deleting.client(OAUTH)
    path = deleting.own_path(OAUTH, client_id)
    component = (await deleting.admin.get(path)).json()["data"]["relationships"]["component"]["data"]["id"]
    assert (await deleting.admin.delete(path)).status_code == 204
    await add_oauth_client(keyrack, "Acme", component, "another", "other")
    browser = await signed_in(keyrack, deleting.admin, deleting.acme.id)
    assert client_id in (await browser.get(PAGE)).text
    assert SECRET not in browser.page.text
    refused = await browser.post(f"{PAGE}/{client_id}/restore")
    assert refused.status_code == 409
    assert "another OAuth client for the component" in refused.text
    purged = await browser.post(f"{PAGE}/{client_id}/purge")
    assert (purged.status_code, purged.headers["location"]) == (303, f"{PAGE}?done=purged")
    assert "No client can be restored" in (await browser.get(PAGE)).text


async def test_who_may_delete_no_client_sees_nothing_of_it(keyrack: World) -> None:
    deleting = Deleting(keyrack, Time())
    client_id = await deleting.deleted(OAUTH)
    for who, tenant in (
        (deleting.acme.guest, deleting.acme),
        (keyrack.tenants["Globex"].admin, keyrack.tenants["Globex"]),
    ):
        browser = await signed_in(keyrack, who, tenant.id)
        await browser.get("/console")
        assert client_id not in (await browser.get(PAGE)).text
        assert (await browser.post(f"{PAGE}/{client_id}/restore")).status_code in {403, 404}
        assert (await browser.post(f"{PAGE}/{client_id}/purge")).status_code in {403, 404}
    assert [each["id"] for each in await deleting.restorable()] == [client_id]


async def test_who_may_delete_clients_of_a_tenant_finds_the_page(keyrack: World) -> None:
    acme, link = keyrack.tenants["Acme"], f'href="{PAGE}"'
    permissions = [f"global.auth_clients.{action}" for action in ("get", "create", "delete")]
    operator = await keyrack.add_service_account(*permissions)
    for who, tenant_id, finds in ((acme.admin, acme.id, True), (acme.guest, acme.id, False), (operator, "", False)):
        browser = await signed_in(keyrack, who, tenant_id)
        assert (link in (await browser.get("/console/auth-clients")).text) is finds
