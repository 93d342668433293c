"""Lists of the console that are narrowed to a name, an email, an id or an outcome; over HTTP."""

from datetime import timedelta

from sqlalchemy import update

from keyrack import clock
from keyrack.model.identity import PrincipalKind
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.invites import ContractInvites
from keyrack.store.schema import connect_links
from support.app import World
from support.connect_links import link_for
from support.console import ConsoleBrowser, signed_in
from support.grants import component_for
from support.operator_console import operator_browser


async def shown(browser: ConsoleBrowser, path: str, **asked: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    answer = await browser.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def require_narrowing(browser: ConsoleBrowser, path: str, by: str, wanted: str, ids: tuple[str, str]) -> None:
    """Require that of two things, named "Alpha one" and "Beta_one", the list shows one when it is asked for it."""
    everything = await shown(browser, path)
    assert "Alpha one" in everything
    assert "Beta_one" in everything
    for asked in (wanted, ids[0]):
        page = await shown(browser, path, **{by: asked})
        assert "Alpha one" in page
        assert "Beta_one" not in page
    nothing = await shown(browser, path, **{by: "zebra"})
    assert "Alpha one" not in nothing
    assert "Beta_one" not in nothing


async def test_webhooks_by_their_description(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    ids = []
    for name in ("Alpha one", "Beta_one"):
        attributes = {"url": "http://127.0.0.1:8999/hook", "description": name}
        body = {"data": {"type": "webhook", "attributes": attributes}}
        answer = await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks", body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["data"]["id"])
    browser = await signed_in(keyrack_on_each, acme.admin, acme.id)
    await require_narrowing(browser, "/console/webhooks", "q", "alp", (ids[0], ids[1]))


async def test_own_api_keys_by_their_name(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    ids = []
    for name in ("Alpha one", "Beta_one"):
        body = {"data": {"type": "api-key", "attributes": {"name": name}}}
        answer = await acme.admin.post("/v2/users/me/api-keys", body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["data"]["id"])
    browser = await signed_in(keyrack_on_each, acme.admin, acme.id)
    await require_narrowing(browser, "/console/account", "key", "LPHA", (ids[0], ids[1]))
    assert "Alpha one" not in await shown(browser, "/console/account", key="_")
    assert "Beta_one" in await shown(browser, "/console/account", key="_")


async def test_credentials_by_their_name(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    component_id = await keyrack_on_each.add_component(
        acme,
        "plain",
        {"title": "Plain", "credentials": {"fields": {"key": {"label": "Key", "viewClass": "TextFieldView"}}}},
    )
    ids = []
    for name in ("Alpha one", "Beta_one"):
        related = {
            "component": {"data": {"type": "component", "id": component_id}},
            "workspace": {"data": {"type": "workspace", "id": acme.workspace_id}},
        }
        attributes = {"name": name, "keys": {"key": "x"}}
        body = {"data": {"type": "credential", "attributes": attributes, "relationships": related}}
        answer = await acme.integrator.post("/v2/credentials", body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["data"]["id"])
    browser = await signed_in(keyrack_on_each, acme.integrator, acme.id)
    path = f"/console/workspaces/{acme.workspace_id}/credentials"
    await require_narrowing(browser, path, "q", "alp", (ids[0], ids[1]))
    assert "Alpha one" not in await shown(browser, path, q="alp", component="0" * 24)


async def test_service_accounts_by_their_name(keyrack_on_each: World) -> None:
    async with keyrack_on_each.store.installation(writes=True) as unit:
        ids = [(await ServiceAccounts(unit).add(name, ())).id for name in ("Alpha one", "Beta_one")]
    browser = await operator_browser(keyrack_on_each, "global.service_accounts.get")
    await require_narrowing(browser, "/console/installation/service-accounts", "q", "LPHA", (ids[0], ids[1]))


async def test_a_contract_s_invites_and_workspaces(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    path = f"/console/contracts/{acme.contract_id}"
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        for email in ("nora_@acme.example", "norax@acme.example"):
            await ContractInvites(unit).add(acme.contract_id, email, ["member"], None)
    for name in ("Alpha one", "Beta_one"):
        attributes = {"name": name, "type": "full"}
        related = {"contract": {"data": {"type": "contract", "id": acme.contract_id}}}
        body = {"data": {"type": "workspace", "attributes": attributes, "relationships": related}}
        answer = await acme.integrator.post("/v2/workspaces", body)
        assert answer.status_code == 200, answer.text
    browser = await signed_in(keyrack_on_each, acme.admin, acme.id)
    ids = (answer.json()["data"]["id"], "")
    page = await shown(browser, path, workspace=ids[0])
    assert "Beta_one" in page
    assert "Alpha one" not in page
    page = await shown(browser, path, workspace="alp", invite="NORA_@")
    assert "Alpha one" in page
    assert "Beta_one" not in page
    assert "nora_@acme.example" in page
    assert "norax@acme.example" not in page
    assert "Nobody with such an email is invited" in await shown(browser, path, invite="acme")


async def test_own_invites_by_the_name_of_the_contract(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    ids = []
    for name in ("Alpha one", "Beta_one"):
        body = {"data": {"type": "contract", "attributes": {"name": name}}}
        answer = await acme.admin.post("/v2/contracts", body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["data"]["id"])
        async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
            await ContractInvites(unit).add(ids[-1], acme.stranger.name, ["member"], None)
            await ContractInvites(unit).add(acme.contract_id, f"{name[0]}@acme.example", ["member"], None)
    browser = await signed_in(keyrack_on_each, acme.stranger, acme.id)
    await require_narrowing(browser, "/console/invites", "q", "ALP", (ids[0], ids[1]))
    assert "Acme contract" not in await shown(browser, "/console/invites")
    assert "You are not invited into a contract that has" in await shown(browser, "/console/invites", q="zebra")


async def test_own_sessions_by_their_browser_or_address(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    browser = await signed_in(keyrack, acme.admin, acme.id)
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        for n in range(30):
            sessions = ConsoleSessions(unit)
            await sessions.add(PrincipalKind.user, acme.admin.id, f"{n:064}", f"192.0.2.{n}", "Edg/1 (Windows)")
    everything = await shown(browser, "/console/account")
    assert 'id="sessions">Sessions <span class="count">31</span>' in everything
    assert "192.0.2.3<" in everything
    assert "192.0.2.29<" not in everything
    assert "192.0.2.29<" in await shown(browser, "/console/account", sessions="2")
    for asked, wanted in (("firefox%20on%20linux", "this one"), ("192.0.2.29", "192.0.2.29<"), ("edge", "192.0.2.3<")):
        page = await shown(browser, "/console/account", session=asked)
        assert wanted in page
        assert ("this one" in page) == (wanted == "this one")
    assert "No session of yours is of such" in await shown(browser, "/console/account", session="zebra")


async def test_connect_links_by_what_became_of_them(keyrack: World, simulator: RunningSimulator) -> None:
    globex, component_id = keyrack.tenants["Globex"], await component_for(keyrack, simulator)
    waits = await link_for(keyrack, component_id, name="waits")
    opened = await link_for(keyrack, component_id, name="was-opened")
    ended = {each: await link_for(keyrack, component_id, name=f"is-{each}") for each in ("denied", "late")}
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        for link, values in (
            (opened, {"status": "opened"}),
            (ended["denied"], {"status": "denied"}),
            (ended["late"], {"expires_at": clock.now() - timedelta(seconds=1)}),
        ):
            row = (connect_links.c.id == link["id"]) & (connect_links.c.tenant_id == globex.id)
            await unit.connection.execute(update(connect_links).where(row).values(**values))
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    path = f"/console/workspaces/{globex.workspace_id}/connect-links"
    names = {waits["id"], opened["id"], ended["denied"]["id"], ended["late"]["id"]}
    for status, link in (
        ("pending", waits),
        ("opened", opened),
        ("denied", ended["denied"]),
        ("expired", ended["late"]),
    ):
        page = await shown(browser, path, status=status)
        assert {each for each in names if each in page} == {link["id"]}
    assert "No link of yours has come to this." in await shown(browser, path, status="failed")
    everything = await shown(browser, path, status="nonsense")
    assert {each for each in names if each in everything} == names
