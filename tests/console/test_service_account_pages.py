"""Service accounts in the console, for operators who hold permissions on them; over HTTP."""

import pytest

from keyrack.store.accounts import ServiceAccounts
from support.app import World
from support.console import signed_in
from support.operator_console import operator_browser

PATH = "/console/installation/service-accounts"
ALL = tuple(f"global.service_accounts.{action}" for action in ("get", "edit", "delete"))


async def account_of(world: World, name: str, *permissions: str) -> str:
    async with world.store.installation(writes=True) as unit:
        return (await ServiceAccounts(unit).add(name, permissions)).id


async def stored(world: World, account_id: str) -> tuple[str, frozenset[str]] | None:
    async with world.store.installation() as unit:
        found = await ServiceAccounts(unit).find(account_id)
        return None if found is None else (found.username, found.permissions)


async def test_they_are_listed_changed_and_deleted(keyrack: World) -> None:
    account_id = await account_of(keyrack, "runner <1>", "global.task_keys.create", "global.metrics.get")
    browser = await operator_browser(keyrack, *ALL, "tenants.tenant.get")
    page = (await browser.get(PATH)).text
    assert "runner &lt;1&gt;" in page
    assert "2 permissions" in page
    form = (await browser.get(f"{PATH}/{account_id}")).text
    assert "tenants.tenant.get" in form
    assert "tenants.tenant.delete" not in form
    given = await browser.post(f"{PATH}/{account_id}", username="runner", permissions="tenants.tenant.get")
    assert given.headers["location"] == f"{PATH}?done=saved"
    assert await stored(keyrack, account_id) == ("runner", frozenset({"tenants.tenant.get"}))
    wrong = await browser.post(f"{PATH}/{account_id}", username="a@b", permissions="tenants.tenant.delete")
    assert wrong.status_code == 400
    assert 'value="a@b"' in wrong.text
    beyond = await browser.post(f"{PATH}/{account_id}", username="runner", permissions="tenants.tenant.delete")
    assert "only give permissions that you hold" in beyond.text
    assert "Delete the service account “runner”" in (await browser.get(f"{PATH}/{account_id}/delete")).text
    assert (await browser.post(f"{PATH}/{account_id}/delete")).headers["location"] == f"{PATH}?done=deleted"
    assert await stored(keyrack, account_id) is None
    assert (await browser.get(f"{PATH}/{account_id}")).status_code == 404


@pytest.mark.parametrize(("permissions", "listed"), [((ALL[0],), 200), (("tenants.tenant.get",), 403)])
async def test_nobody_does_more_than_is_permitted(keyrack: World, permissions: tuple[str, ...], listed: int) -> None:
    account_id = await account_of(keyrack, "runner", "global.metrics.get")
    browser = await operator_browser(keyrack, *permissions)
    page = await browser.get(PATH)
    assert page.status_code == listed
    assert f"{PATH}/{account_id}" not in page.text
    for each in (f"{PATH}/{account_id}", f"{PATH}/{account_id}/delete"):
        assert (await browser.get(each)).status_code in {403, 404}
        await browser.get("/console/building-blocks")
        assert (await browser.post(each, username="mine")).status_code in {403, 404}
    assert await stored(keyrack, account_id) == ("runner", frozenset({"global.metrics.get"}))


async def test_people_of_a_tenant_see_none(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    account_id = await account_of(keyrack, "runner")
    browser = await signed_in(keyrack, acme.admin, acme.id)
    assert (await browser.get(PATH)).status_code == 403
    assert (await browser.get(f"{PATH}/{account_id}")).status_code == 404
    assert PATH not in (await browser.get("/console")).text
