"""Connecting at an MCP server in the console: its address alone, what was found, and the consent (decision 42)."""

import html
import re

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.auth_clients import auth_client
from support.consent import approve, query_of
from support.console import signed_in


async def test_an_address_leads_to_a_consent(keyrack: World, simulator: RunningSimulator) -> None:
    simulator.state.set_defaults({"approval": "auto"})
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    path, url = f"/console/workspaces/{globex.workspace_id}", f"{simulator.base_url}/mcp"
    assert f'href="{path}/mcp-servers/new"' in (await browser.get(f"{path}/connect")).text

    await browser.get(f"{path}/mcp-servers/new")
    wrong = await browser.post(f"{path}/mcp-servers", url="ftp://mcp.example.com", client_secret="the-secret")
    assert wrong.status_code == 400
    assert "ftp://mcp.example.com" in wrong.text, "what was typed comes again"
    assert "the-secret" not in wrong.text
    assert "client_id is required" in (await browser.post(f"{path}/mcp-servers", url=url, client_secret="s")).text
    assert simulator.state.registered == {}
    added = await browser.post(f"{path}/mcp-servers", url=url)
    assert added.status_code == 303, added.text
    page = (await browser.get(added.headers["location"])).text
    for told in (url, "mcp</code>", "By a registration that Keyrack made there", simulator.base_url.partition("//")[2]):
        assert told in page, told
    assert (await browser.post(f"{path}/mcp-servers", url=url)).headers["location"] == added.headers["location"]
    assert len(simulator.state.registered) == 1

    going_on = re.search(r'href="([^"]+/connect\?auth_client=[^"]+)"', page)
    assert going_on is not None
    form = (await browser.get(html.unescape(going_on[1]))).text
    assert 'value="mcp"' in form, "the scopes that the server names"
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))
    hidden.pop("form_token")
    begun = await browser.post(f"{path}/connect", **hidden, scopes="mcp")
    assert begun.status_code == 303, begun.text
    consent = (await browser.get(begun.headers["location"])).text
    way = re.search(r'href="([^"]+)"[^>]*data-popup', consent)
    assert way is not None
    assert query_of(html.unescape(way[1]))["resource"] == url
    callback = await approve(html.unescape(way[1]))
    assert (await browser.get(callback.removeprefix("http://keyrack.test"))).status_code == 303
    made = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/secrets")
    assert [each["attributes"]["requested_scopes"] for each in made.json()["data"]] == [["mcp"]]


async def test_a_secret_goes_where_somebody_has_confirmed_alone(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    browser = await signed_in(keyrack, globex.integrator, globex.id)
    path, url = f"/console/workspaces/{globex.workspace_id}/mcp-servers", f"{simulator.base_url}/mcp"
    await browser.get(f"{path}/new")
    typed = {"url": url, "client_id": "by-hand", "client_secret": "the-secret"}
    asked = await browser.post(path, **typed)
    assert asked.status_code == 200
    assert f'name="authorization_server" value="{simulator.base_url}"' in asked.text
    assert "gives tokens for it" in asked.text
    assert "the-secret" not in asked.text
    again = await browser.post(path, **typed, authorization_server=simulator.base_url)
    assert again.status_code == 200, "the box was not ticked"
    other = await browser.post(path, **typed, authorization_server="https://a.example", is_confirmed="on")
    assert other.status_code == 400
    assert "does not name this one" in other.text
    added = await browser.post(path, **typed, authorization_server=simulator.base_url, is_confirmed="on")
    assert added.status_code == 303, added.text
    assert "a client that somebody registered there" in (await browser.get(added.headers["location"])).text


async def test_the_pages_are_for_those_who_may(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    guest = await signed_in(keyrack, globex.guest, globex.id)
    path = f"/console/workspaces/{globex.workspace_id}/mcp-servers"
    assert (await guest.get(f"{path}/new")).status_code == 403
    await guest.get("/console")
    assert (await guest.post(path, url=f"{simulator.base_url}/mcp")).status_code == 403
    assert (await guest.get(f"{path}/{'0' * 24}")).status_code == 404
    assert sum(simulator.state.counters.values()) == 0, "nobody was asked"
    component = await keyrack.add_component(globex, "keys", {"title": "Keys", "authClientTypes": ["api_key"]})
    body = auth_client([component], ("tenant", globex.id), {"resource": 5, "registration": 5}, kind="api_key")
    made = await globex.admin.post("/v2/auth-clients", body)
    adder = await signed_in(keyrack, globex.integrator, globex.id)
    assert (await adder.get(f"{path}/{made.json()['data']['id']}")).status_code == 404, "it is no client for a server"
