"""Search at the console: an id leads to its page, a name to what the visitor may see, without harm (decision 35)."""

import re

from keyrack.console.routes import CONSOLE
from keyrack.console.search.destinations import KINDS, OPERATORS_PAGES, PAGES
from support.app import World
from support.console import signed_in
from support.flows import PLAIN, flow_body
from support.operator_console import ALL, operator_browser
from support.secrets import resource
from support.tenancy.estate import build_estate

HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 200


async def flow_of(keyrack: World, name: str) -> str:
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(globex, "plain", PLAIN)
    listed = await globex.admin.get(f"/v2/components/{component}")
    command = f"{listed.json()['data']['attributes']['team_name']}/plain:due"
    body = flow_body(globex.workspace_id, command, name=name)
    return str(resource(await globex.integrator.post("/v2/flows", body), 201)["id"])


async def test_what_is_found_stands_on_the_page_with_where_it_leads(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    flow_id = await flow_of(keyrack, f"Orders {HOSTILE}")
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    page = await browser.get("/console/search?q=ORD")
    assert page.status_code == 200
    assert flow_id in page.text
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert re.search(r'<h2 id="kind-flow">Flows</h2>', page.text)
    assert 'id="kind-credential"' not in page.text
    only = await browser.get("/console/search?q=ord&kind=credential")
    assert flow_id not in only.text
    assert "Nothing is found that you may see." in only.text
    nothing = await browser.get("/console/search")
    assert "Nothing is looked for yet." in nothing.text


async def test_an_id_leads_to_its_page_at_once_but_not_while_one_writes(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    keys = (await globex.integrator.get("/v2/users/me/api-keys")).json()["data"]
    led = await browser.get(f"/console/search?q=%20{keys[0]['id'].upper()}%20")
    assert (led.status_code, led.headers["location"]) == (303, "/console/account")
    live = await browser.get(f"/console/search?q={keys[0]['id']}", **{"hx-request": "true"})
    assert live.status_code == 200
    assert '<a href="/console/account">' in live.text


async def test_others_find_nothing(keyrack: World) -> None:
    globex, acme = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    flow_id = await flow_of(keyrack, "Orders")
    for who, tenant in ((globex.stranger, globex), (acme.admin, acme)):
        browser = await signed_in(keyrack, who, tenant.id)
        for text in ("orders", flow_id, globex.workspace_id, globex.integrator.id):
            page = await browser.get(f"/console/search?q={text}")
            assert "Nothing is found that you may see." in page.text, text


async def test_operators_find_tenants_by_a_part_of_their_names(keyrack_on_each: World) -> None:
    globex = keyrack_on_each.tenants["Globex"]
    path = f"/console/installation/tenants?q={globex.id}"
    browser = await operator_browser(keyrack_on_each, *ALL)
    page = (await browser.get("/console/search?q=LOBE")).text
    assert f'<a href="{path}">' in page
    assert keyrack_on_each.tenants["Acme"].id not in page
    assert (await browser.get(path)).status_code == 200
    led = await browser.get(f"/console/search?q={globex.id}")
    assert led.headers["location"] == path
    for nothing in ("%25", "_", "%5C", "Globex%00"):
        page = (await browser.get(f"/console/search?q={nothing}")).text
        assert globex.id not in page
    for permissions in (ALL[:1], ALL[1:]):
        other = await operator_browser(keyrack_on_each, *permissions)
        assert "Nothing is found that you may see." in (await other.get("/console/search?q=globex")).text
    admin = await signed_in(keyrack_on_each, globex.admin, globex.id)
    page = (await admin.get("/console/search?q=globex&kind=tenant")).text
    assert 'id="kind-tenant"' not in page
    assert ">Tenants</option>" not in page


async def test_odd_questions_are_answered(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    for text in ("%00", "%ED%A0%80", "%F4%8F%BF%BF", "%25", "_", "'", "f" * 24, "x" * 5000, "%3Cscript%3E"):
        page = await browser.get(f"/console/search?q={text}&kind=nothing")
        assert page.status_code == (400 if text == "%00" else 200), text
        assert "<script>" not in page.text


async def test_each_page_has_the_field_in_its_frame(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    for path in ("/console", "/console/account", "/console/search"):
        page = await browser.get(path)
        assert '<form method="get" action="/console/search">' in page.text
        assert 'hx-trigger="input changed delay:250ms"' in page.text


def test_everything_that_is_found_has_a_page_that_there_is() -> None:
    there = {re.sub(r"\{[^}]*\}", "{}", route.path) for route in CONSOLE.routes}
    assert PAGES.keys() == KINDS.keys()
    assert {
        re.sub(r"\{[^}]*\}", "{}", page.partition("?")[0]) for page in (*PAGES.values(), *OPERATORS_PAGES.values())
    } <= there


async def test_ids_of_all_kinds_lead_to_pages_that_are_shown(keyrack: World) -> None:
    estate = await build_estate(keyrack, "Globex")
    ids, globex = estate.ids, estate.tenant
    admin = await signed_in(keyrack, globex.admin, globex.id)
    integrator = await signed_in(keyrack, globex.integrator, globex.id)
    tenants = ("user_id", "contract_id", "component_id", "oauth_client_id", "webhook_id", "event_id")
    members = ("workspace_id", "secret_id", "credential_id", "flow_id", "consent_id", "connect_link_id")
    for browser, names in ((admin, tenants), (integrator, members)):
        for name in names:
            led = await browser.get(f"/console/search?q={ids[name]}")
            assert led.status_code == 303, name
            page = await browser.get(led.headers["location"])
            assert page.status_code in (200, 303), f"{name}: {led.headers['location']}"
    changed = await globex.admin.patch(
        f"/v2/tenants/{globex.id}/connect-theme", {"data": {"type": "connect-theme", "attributes": {}}}
    )
    led = await admin.get(f"/console/search?q={changed.headers['x-request-id']}")
    page = await admin.get(led.headers["location"])
    assert page.status_code == 200
    assert changed.headers["x-request-id"] in page.text
