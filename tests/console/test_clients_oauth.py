"""Components that lack an OAuth client, and OAuth clients from creation to deletion, in the console; over HTTP."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from keyrack.clock import iso
from support.app import World, relationship
from support.consent import add_oauth_client, oauth_component
from support.console import ConsoleBrowser, signed_in
from support.flows import flow_body, graph_of, node

AUTH, TOKEN = "https://login.example.com/auth", "https://login.example.com/token"
NEW, SECRET, SECOND = "/console/oauth-clients/new", "first-secret-canary", "second-secret-canary"
TIMER = {"title": "Timer", "actions": {"run": {"title": "Run", "main": "./run.js"}}}


def hidden(page: httpx2.Response, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, f"{name} is not there"
    return found[1]


def where(answer: httpx2.Response) -> str:
    """Return where a browser is sent, which it is."""
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location


async def shared(world: World, name: str, **more: Any) -> str:
    """Return a global component of Acme that asks for an OAuth client."""
    return await world.add_component(world.tenants["Acme"], name, oauth_component(AUTH, TOKEN) | more, access="global")


async def at_globex(world: World) -> ConsoleBrowser:
    globex = world.tenants["Globex"]
    return await signed_in(world, globex.admin, globex.id)


async def stored(world: World, tenant: str = "Globex") -> list[dict[str, Any]]:
    where = world.tenants[tenant]
    data: list[dict[str, Any]] = (await where.admin.get(f"/v2/tenants/{where.id}/oauth-clients")).json()["data"]
    return data


async def actions(world: World) -> list[str]:
    globex = world.tenants["Globex"]
    events = (await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events")).json()["data"]
    return [each["attributes"]["action"] for each in events]


async def test_what_lacks_a_client_comes_first_and_is_found_by_name(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    lacking, served = await shared(keyrack, "zz-lacks"), await shared(keyrack, "aa-served")
    await keyrack.add_component(keyrack.tenants["Acme"], "a-timer", TIMER, access="global")
    await keyrack.add_component(keyrack.tenants["Acme"], "acmes-own", oauth_component(AUTH, TOKEN))
    await add_oauth_client(keyrack, "Globex", served, "id", SECRET)
    browser = await at_globex(keyrack)
    page = await browser.get("/console/components")
    names = re.findall(r'class="name" href="[^"]*"><bdi>(acme/[^<]+)', page.text)
    assert names == ["acme/zz-lacks", "acme/aa-served", "acme/a-timer"]
    assert f"{NEW}?component={lacking}" in page.text
    assert f"{NEW}?component={served}" not in page.text
    only = (await browser.get("/console/components?show=lacking")).text
    assert "zz-lacks" in only
    assert "aa-served" not in only
    for asked in ("SERVED", served, "acme/aa-serv"):
        found = (await browser.get(f"/console/components?q={asked}")).text
        assert "aa-served" in found, asked
        assert "zz-lacks" not in found, asked
    for odd in ("%25", "_", "%21"):  # mean themselves
        assert "zz-lacks" not in (await browser.get(f"/console/components?q={odd}")).text
    overview = (await browser.get("/console")).text
    assert "component that lacks its OAuth client" in overview
    assert lacking in overview


async def test_a_client_is_created_once_by_a_form_that_is_sent_twice(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    component = await shared(keyrack, "asks")
    browser = await at_globex(keyrack)
    page = await browser.get(f"{NEW}?component={component}")
    assert "/callback/oauth2" in page.text
    assert "https://login.example.com" in page.text
    once = hidden(page, "once")
    given = {"once": once, "component": component, "client_id": "globex-id", "client_secret": SECRET}
    first = where(await browser.post(NEW, secret_ends_on="2099-01-31", **given))
    assert where(await browser.post(NEW, secret_ends_on="2099-01-31", **given)) == first
    (client,) = await stored(keyrack)
    assert client["id"] == once.partition(".")[0]
    ends = {"secret_expires_at": "2099-01-31T00:00:00.000Z"}
    assert client["attributes"] == {"client_id": "globex-id", "client_secret": SECRET, **ends}
    shown = await browser.get(first)
    assert "The client is stored" in shown.text
    assert "30, 14, 7, 1 days before" in shown.text
    assert SECRET not in shown.text
    assert (await actions(keyrack)).count("oauth-client.create") == 1
    assert where(await browser.get(f"{NEW}?component={component}")).endswith("?done=existed")
    second = await browser.get("/console/components")
    assert "there is one" in second.text


async def test_an_id_is_not_chosen_by_who_sends_the_form(keyrack: World) -> None:
    component = await shared(keyrack, "asks")
    browser = await at_globex(keyrack)
    once = hidden(await browser.get(f"{NEW}?component={component}"), "once")
    chosen = "0" * 24 + once[24:]
    refused = await browser.post(NEW, once=chosen, component=component, client_id="i", client_secret=SECRET)
    assert refused.status_code == 403
    assert await stored(keyrack) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"client_id": " "}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"secret_ends_on": "31.12.2030"}, "secret_ends_on"),
        ({"secret_ends_on": "9999-12-31"}, "secret_ends_on"),
        ({"client_auth": "mtls"}, "client_auth"),
    ],
)
async def test_what_is_wrong_stands_beneath_its_field_and_what_was_typed_is_kept(
    keyrack: World, given: dict[str, str], field: str
) -> None:
    component = await shared(keyrack, "asks")
    browser = await at_globex(keyrack)
    once = hidden(await browser.get(f"{NEW}?component={component}"), "once")
    typed = {"client_id": "kept-id", "client_secret": SECRET, "once": once, "component": component} | given
    page = await browser.post(NEW, **typed)
    assert page.status_code == 400
    assert f'id="{field}-wrong"' in page.text
    assert ("kept-id" in page.text) == (given.get("client_id") is None)
    assert SECRET not in page.text
    assert hidden(page, "once") == once
    assert await stored(keyrack) == []


async def test_changing_keeps_the_secret_and_a_new_secret_the_rest(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    client = await add_oauth_client(keyrack, "Globex", await shared(keyrack, "asks"), "old-id", SECRET)
    browser, here = await at_globex(keyrack), f"/console/oauth-clients/{client}"
    page = await browser.get(f"{here}/edit")
    assert SECRET not in page.text
    seen = hidden(page, "as_of")
    changed = {"as_of": seen, "client_id": "new-id", "client_auth": "basic", "secret_ends_on": "2099-02-01"}
    assert where(await browser.post(f"{here}/edit", **changed)) == f"{here}?done=changed"
    kept = {"client_id": "new-id", "client_secret": SECRET, "client_auth": "basic"}
    ends = {"secret_expires_at": "2099-02-01T00:00:00.000Z"}
    assert (await stored(keyrack))[0]["attributes"] == kept | ends
    late = await browser.post(f"{here}/edit", **changed | {"client_id": "another"})
    assert late.status_code == 400
    assert "somebody has changed the client since you opened it" in late.text
    assert "another" in late.text
    page = await browser.get(f"{here}/secret")
    given = {"as_of": hidden(page, "as_of"), "client_secret": SECOND}
    assert where(await browser.post(f"{here}/secret", **given)) == f"{here}?done=secret"
    assert (await stored(keyrack))[0]["attributes"] == kept | {"client_secret": SECOND}  # its end is not known
    page = await browser.get(f"{here}/secret")
    nothing = await browser.post(f"{here}/secret", as_of=hidden(page, "as_of"), client_secret=" ")
    assert nothing.status_code == 400
    assert 'id="client_secret-wrong"' in nothing.text
    for path in (here, f"{here}/edit", f"{here}/secret", f"{here}/delete", "/console/oauth-clients"):
        text = (await browser.get(path)).text
        assert "canary" not in text, path


async def test_an_exact_end_survives_a_form_that_shows_the_day(keyrack: World) -> None:
    component, globex = await shared(keyrack, "asks"), keyrack.tenants["Globex"]
    soon = iso(datetime.now(UTC) + timedelta(days=5, hours=3))
    data = {
        "type": "oauth-client",
        "attributes": {"client_id": "id", "client_secret": SECRET, "secret_expires_at": soon},
        "relationships": {"component": relationship("component", component)},
    }
    made = await globex.admin.post(f"/v2/tenants/{globex.id}/oauth-clients", {"data": data})
    here = f"/console/oauth-clients/{made.json()['data']['id']}"
    browser = await at_globex(keyrack)
    assert "OAuth client whose secret ends soon" in (await browser.get("/console")).text
    assert "acme/asks" in (await browser.get("/console/oauth-clients?show=ending")).text
    page = await browser.get(f"{here}/edit")
    given = {"as_of": hidden(page, "as_of"), "client_id": "id-2", "secret_ends_on": soon[:10]}
    assert where(await browser.post(f"{here}/edit", **given)).endswith("done=changed")
    assert (await stored(keyrack))[0]["attributes"]["secret_expires_at"] == soon
    page = await browser.get(f"{here}/edit")
    given = {"as_of": hidden(page, "as_of"), "client_id": "id-2", "secret_ends_on": ""}
    assert where(await browser.post(f"{here}/edit", **given)).endswith("done=changed")
    assert "secret_expires_at" not in (await stored(keyrack))[0]["attributes"]
    assert "acme/asks" not in (await browser.get("/console/oauth-clients?show=ending")).text


async def test_a_deletion_says_first_what_it_hits(keyrack_on_each: World) -> None:
    keyrack, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    component = await shared(keyrack, "asks")
    client = await add_oauth_client(keyrack, "Globex", component, "id", SECRET)
    graph = graph_of(node("acme/asks:run"))
    flow = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id, graph=graph))
    assert flow.status_code == 201, flow.text
    browser, here = await at_globex(keyrack), f"/console/oauth-clients/{client}"
    blocked = await browser.get(f"{here}/delete")
    assert flow.json()["data"]["id"] in blocked.text
    assert "cannot be deleted" in blocked.text
    assert f'action="{here}/delete"' not in blocked.text
    assert (await browser.post(f"{here}/delete")).status_code == 409
    assert (await globex.integrator.delete(f"/v2/flows/{flow.json()['data']['id']}")).status_code == 204
    free = await browser.get(f"{here}/delete")
    assert "Delete the OAuth client for acme/asks" in free.text
    assert where(await browser.post(f"{here}/delete")) == f"/console/oauth-clients?done=deleted&undo={client}"
    assert await stored(keyrack) == []
    assert (await browser.post(f"{here}/delete")).status_code == 404


async def test_nobody_without_the_permission_is_offered_it_or_can_do_it(keyrack: World) -> None:
    component, globex, acme = await shared(keyrack, "asks"), keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    client = await add_oauth_client(keyrack, "Globex", component, "id", SECRET)
    here = f"/console/oauth-clients/{client}"
    posts = (f"{here}/edit", f"{here}/secret", f"{here}/delete")
    gets = ("/console/oauth-clients", here, *posts, f"{NEW}?component={component}", "/console/components")
    integrator = await signed_in(keyrack, globex.integrator, globex.id)
    await integrator.get("/console")
    assert "/console/components" not in integrator.page.text
    assert [(await integrator.get(path)).status_code for path in gets] == [403] * len(gets)
    assert [(await integrator.post(path, client_secret=SECOND)).status_code for path in posts] == [403] * len(posts)
    others = await signed_in(keyrack, acme.admin, acme.id)
    await others.get("/console")
    assert [(await others.get(path)).status_code for path in (here, *posts)] == [404] * 4
    assert [(await others.post(path, client_secret=SECOND)).status_code for path in posts] == [404] * len(posts)
    assert (await stored(keyrack))[0]["attributes"]["client_secret"] == SECRET
    seen = await integrator.get(f"/console/components/{component}")  # its contract has it, as the API says
    assert seen.status_code == 200
    assert client not in seen.text


async def test_a_component_says_what_to_register_where(keyrack: World) -> None:
    odd = "<script>alert(1)</script>\u202e"
    block = {"scopes": ["contacts.read", odd], "auth_uri": "https://login.example.com:8443/auth?x={{KEY}}"}
    descriptor = oauth_component(AUTH, TOKEN)
    descriptor["credentials"]["oauth2"] |= block
    component = await keyrack.add_component(keyrack.tenants["Acme"], "asks", descriptor, access="global")
    browser = await at_globex(keyrack)
    page = await browser.get(f"/console/components/{component}")
    assert "contacts.read" in page.text
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert "your tenant has none for it" in page.text
    private = await keyrack.add_component(keyrack.tenants["Acme"], "acmes-own", TIMER)
    assert (await browser.get(f"/console/components/{private}")).status_code == 404
    assert (await browser.get(f"/console/components/{'0' * 24}")).status_code == 404
