"""Auth clients of all scopes in the console: who knows which, their health, forms, what hangs on them; over HTTP."""

import json
import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.authz.access import Access
from keyrack.service.clients.auth_client_authorization import auth_client_permissions
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.contracts import ContractRows
from keyrack.store.directory import Location
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import Caller, World
from support.auth_clients import OAUTH2, PATH, SECOND_GENERATION, auth_client, make, one_of_each
from support.console import ConsoleBrowser, signed_in
from support.flows import CALENDAR, flow_body, graph_of, node
from support.secrets import make as make_secret
from support.secrets import resource

NEW = "/console/auth-clients/new"
SECRET, SECOND = "first-secret-canary", "second-secret-canary"
GIVEN = {
    "type": "oauth2",
    "name": "Ledger of Globex",
    "scope": "tenant",
    "client_id": "ledger-id",
    "client_secret": SECRET,
    "auth_uri": "https://login.example.com/authorize",
    "token_uri": "https://login.example.com/token",
    "pkce": "on",
}


def hidden(page: httpx2.Response, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, f"{name} is not there: {page.text}"
    return found[1]


def where(answer: httpx2.Response) -> str:
    """Return where a browser is sent, which it is."""
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location


def named(page: httpx2.Response) -> list[str]:
    """Return the names in a list, in order."""
    return re.findall(r'class="name" href="/console/auth-clients/[^"]*"><bdi>([^<]*)</bdi>', page.text)


async def ledger(world: World) -> str:
    """Return a global component that takes auth clients."""
    return await world.add_component(world.tenants["Acme"], "ledger", SECOND_GENERATION, access="global")


async def at_globex(world: World, who: str = "admin") -> ConsoleBrowser:
    globex = world.tenants["Globex"]
    return await signed_in(world, getattr(globex, who), globex.id)


async def read(who: Caller, client: str) -> dict[str, Any]:
    answer = await who.get(f"{PATH}/{client}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def rejected(world: World, client: str) -> None:
    """Let the provider have rejected a client of Globex."""
    globex = world.tenants["Globex"]
    async with world.store.unit(globex.id, writes=True) as unit:
        stored = await AuthClientRows(unit).find(client)
        assert stored is not None
        said = {"status": 401, "error": "invalid_client", "error_description": "The secret <b>has expired</b>."}
        await AuthClientHealth(unit).reject(stored, said, unit.clock() + timedelta(minutes=5))


async def test_each_sees_the_clients_that_the_api_lets_them_use_rejected_ones_first(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    component, acme = await ledger(keyrack), keyrack.tenants["Acme"]
    clients = await one_of_each(keyrack, component)
    await make(acme.admin, auth_client([component], ("tenant", acme.id), name="of acme"))
    admin = await at_globex(keyrack)
    assert named(await admin.get("/console/auth-clients")) == ["contract", "global", "tenant", "workspace"]
    await rejected(keyrack, clients["workspace"])
    assert named(await admin.get("/console/auth-clients")) == ["workspace", "contract", "global", "tenant"]
    assert named(await admin.get("/console/auth-clients?show=rejected")) == ["workspace"]
    assert "auth client that its provider rejects" in (await admin.get("/console")).text
    for scope in clients:
        assert named(await admin.get(f"/console/auth-clients?scope={scope}")) == [scope]
    for query, expected in (
        ("q=TRACT", ["contract"]), (f"q={clients['tenant']}", ["tenant"]), ("q=%25", []),
        ("type=oauth2&q=glo", ["global"]),
        ("type=none", []), (f"component={component}", ["workspace", "contract", "global", "tenant"]),
        (f"component={'0' * 24}", []),
    ):  # fmt: skip
        assert named(await admin.get(f"/console/auth-clients?{query}")) == expected, query
    guest = await at_globex(keyrack, "guest")
    assert named(await guest.get("/console/auth-clients")) == ["workspace", "contract", "global", "tenant"]
    stranger = await at_globex(keyrack, "stranger")
    assert (await stranger.get("/console/auth-clients")).status_code == 403
    assert (await stranger.get(f"/console/auth-clients/{clients['tenant']}")).status_code == 404
    for scope, client in clients.items():
        page = await guest.get(f"/console/auth-clients/{client}")
        assert page.status_code == 200
        assert ("login.example.com" in page.text) == (scope == "workspace"), scope
        assert "/edit" not in page.text
    others = await signed_in(keyrack, acme.admin, acme.id)
    assert named(await others.get("/console/auth-clients")) == ["global", "of acme"]
    for scope in ("tenant", "contract", "workspace"):
        for path in ("", "/edit", "/secret", "/delete"):
            assert (await others.get(f"/console/auth-clients/{clients[scope]}{path}")).status_code == 404


async def test_the_scopes_of_a_list_are_those_that_are_known_one_by_one(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    places = [
        Location(globex.id),
        Location(globex.id, globex.contract_id),
        Location(globex.id, globex.contract_id, globex.workspace_id),
        Location(globex.id, "c" * 24),
        Location(globex.id, globex.contract_id, "w" * 24),
        Location(globex.id, "c" * 24, "w" * 24),
    ]
    for who in (globex.admin, globex.integrator, globex.guest, globex.stranger):
        principal = Principal(PrincipalKind.user, who.id, who.name, globex.id)
        async with Access(keyrack.store).tenant(principal, globex.id) as scope:
            reach = await auth_client_permissions(scope)
            known = reach.known_scopes(globex.id)
        for place in places:
            if place.workspace_id is not None:
                inside = place.contract_id in known.workspaces_of or place.workspace_id in known.workspace_ids
                assert reach.knows(place) == (known.all_workspaces or inside)
            elif place.contract_id is not None:
                assert reach.knows(place) == (known.all_contracts or place.contract_id in known.contract_ids)
            else:
                assert reach.knows(place) == known.tenants


async def test_a_client_is_created_once_in_a_scope_that_is_offered(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    browser = await at_globex(keyrack)
    page = await browser.get(f"{NEW}?component={component}")
    assert "acme/ledger" in page.text
    assert "The whole tenant" in page.text
    assert "All tenants" not in page.text.partition("<form")[2].partition("<select")[2].partition("</select>")[0]
    more = {"components": "acme/ledger", "once": hidden(page, "once"), "secret_ends_on": "2099-01-31"}
    first = where(await browser.post(NEW, **GIVEN, **more))
    assert where(await browser.post(NEW, **GIVEN, **more)) == first
    clients = (await globex.admin.get(PATH, params={"tenant_id": globex.id})).json()["data"]
    (made,) = [each for each in clients if each["attributes"]["name"] == GIVEN["name"]]
    credentials = {name: GIVEN[name] for name in ("client_id", "client_secret", "auth_uri", "token_uri")}
    assert made["attributes"]["credentials"].items() >= credentials.items()
    assert "pkce" not in made["attributes"]["credentials"]
    assert made["attributes"]["secret_expires_at"] == "2099-01-31T00:00:00.000Z"
    assert [each["id"] for each in made["relationships"]["components"]["data"]] == [component]
    shown = await browser.get(first)
    assert "canary" not in shown.text
    assert "ledger-id" in shown.text
    assert "/callback/oauth2" in shown.text
    integrator = await at_globex(keyrack, "integrator")
    page = await integrator.get(f"{NEW}?workspace={globex.workspace_id}")
    assert f'value="workspace:{globex.workspace_id}" selected' in page.text
    given = GIVEN | {"scope": f"workspace:{globex.workspace_id}", "components": component}
    given["once"] = hidden(page, "once")
    own = where(await integrator.post(NEW, **given)).partition("?")[0].rpartition("/")[2]
    assert (await read(globex.integrator, own))["relationships"]["workspace"]["data"]["id"] == globex.workspace_id
    page = await integrator.get(NEW)
    assert "The whole tenant" not in page.text
    refused = await integrator.post(NEW, **GIVEN, components=component, once=hidden(page, "once"))
    assert refused.status_code == 403
    assert (await (await at_globex(keyrack, "guest")).get(NEW)).status_code == 403


async def test_a_scope_beyond_those_that_the_form_offers_is_looked_for(keyrack: World) -> None:
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        contracts, workspaces = ContractRows(unit), WorkspaceRows(unit)
        for _ in range(100):
            await contracts.add("Common", (), {}, None)
        far = await contracts.add("Far Away", (), {}, None)
        inside = (await workspaces.add(far, "Inside <i>", WorkspaceType.full, {})).id
        await WorkspaceMembers(unit).add(inside, globex.admin.id, ["integrator"])
    browser = await at_globex(keyrack)
    chosen = f'value="contract:{far}"'
    assert chosen not in (await browser.get(NEW)).text
    for asked in ("awa", far):
        assert chosen in (await browser.get(f"{NEW}?place={asked}")).text, asked
    page = await browser.get(f"{NEW}?place=zebra")
    assert "No contract or workspace in which you may create one" not in page.text, "the whole tenant is offered"
    assert chosen not in page.text
    given = GIVEN | {"components": component, "scope": f"contract:{far}", "once": hidden(page, "once")}
    refused = await browser.post(NEW, **given | {"token_uri": "nowhere"})
    assert f"{chosen} selected" in refused.text, "what was chosen is kept, though nobody looks for it now"
    made = where(await browser.post(NEW, **given)).partition("?")[0].rpartition("/")[2]
    assert (await read(globex.admin, made))["relationships"]["contract"]["data"]["id"] == far
    assert (
        f'value="workspace:{inside}" selected>The workspace Inside &lt;i&gt;'
        in (await browser.get(f"{NEW}?workspace={inside}")).text
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"auth_uri": "javascript:alert(1)"}, "auth_uri"),
        ({"token_expires_in": "soon"}, "token_expires_in"),
        ({"components": "acme/nothing"}, "components"),
        ({"components": ""}, "components"),
        ({"components": "0" * 24}, "components"),
        ({"scope": "contract:" + "0" * 24}, "scope"),
        ({"secret_ends_on": "never"}, "secret_ends_on"),
        ({"type": "api_key", "credentials": "[1]"}, "credentials"),
    ],
)
async def test_what_is_wrong_stands_beneath_its_field_and_what_was_typed_is_kept(
    keyrack: World, given: dict[str, str], field: str
) -> None:
    component = await ledger(keyrack)
    browser = await at_globex(keyrack)
    once = hidden(await browser.get(NEW), "once")
    page = await browser.post(NEW, **{**GIVEN, "components": component, "once": once, **given})
    assert page.status_code == 400
    assert f'id="{field}-wrong"' in page.text
    assert ("Ledger of Globex" in page.text) == ("name" not in given)
    assert "canary" not in page.text
    assert hidden(page, "once") == once


async def test_a_provider_that_is_known_says_what_to_register_and_where_its_addresses_are(keyrack: World) -> None:
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    browser = await at_globex(keyrack)
    page = await browser.get(f"{NEW}?provider=slack&component={component}")
    assert "Create an app at https://api.slack.com/apps" in page.text
    assert 'id="auth_uri"' not in page.text
    given = {name: value for name, value in GIVEN.items() if not name.endswith("_uri")}
    given |= {"provider": "slack", "components": component, "once": hidden(page, "once")}
    wrong = await browser.post(NEW, **given | {"provider": "slak"})
    assert wrong.status_code == 400
    assert "is it slack?" in wrong.text
    first = where(await browser.post(NEW, **given)).partition("?")[0]
    credentials = (await read(globex.admin, first.rpartition("/")[2]))["attributes"]["credentials"]
    assert credentials["token_uri"] == "https://slack.com/api/oauth.v2.access"
    assert credentials["provider_profile"]["name"] == "slack"
    assert "<dt>Provider</dt><dd><bdi>Slack</bdi>" in (await browser.get(first)).text


async def test_credentials_of_any_object_are_written_and_never_shown(keyrack: World) -> None:
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    browser = await at_globex(keyrack)
    page = await browser.get(f"{NEW}?type=other")
    given = {
        "type": "api_key",
        "name": "Keys",
        "scope": "tenant",
        "components": component,
        "once": hidden(page, "once"),
    }
    first = where(await browser.post(NEW, **given, credentials=json.dumps({"api_key": SECRET}))).partition("?")[0]
    client = first.rpartition("/")[2]
    assert (await read(globex.admin, client))["attributes"]["credentials"] == {"api_key": SECRET}
    page = await browser.get(f"{first}/secret")
    again = {"as_of": hidden(page, "as_of"), "credentials": json.dumps({"token": SECOND})}
    assert where(await browser.post(f"{first}/secret", **again)) == f"{first}?done=secret"
    assert (await read(globex.admin, client))["attributes"]["credentials"] == {"token": SECOND}
    page = await browser.get(f"{first}/edit")
    given = {"as_of": hidden(page, "as_of"), "name": "Other keys", "components": component}
    assert where(await browser.post(f"{first}/edit", **given)) == f"{first}?done=changed"
    assert (await read(globex.admin, client))["attributes"]["credentials"] == {"token": SECOND}
    for path in (first, f"{first}/edit", f"{first}/secret", f"{first}/delete", "/console/auth-clients"):
        assert "canary" not in (await browser.get(path)).text


REFUSED = {
    '{"a": "\\ud800"}': "a lone surrogate",
    '{"a": "\\u0000"}': "a NUL character",
    '{"a": NaN}': "has NaN",
    '{"a": 1e999}': "a number that is too large",
    '{"a": 1, "a": 2}': "twice in one object",
    '{"a": %s}' % ("9" * 5000): "a number that is too long",
    "[" * 100_000: "nested deeper",
    '{"a":' * 3000 + "1" + "}" * 3000: "nested deeper",
    "[]": "must be a JSON object such as",
    "": "it is not JSON",
}


@pytest.mark.parametrize(("typed", "told"), REFUSED.items(), ids=REFUSED.values())
async def test_credentials_are_read_as_strictly_as_the_api_s(keyrack: World, typed: str, told: str) -> None:
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    browser = await at_globex(keyrack)
    once = hidden(await browser.get(f"{NEW}?type=other"), "once")
    given = {"type": "api_key", "name": "Keys", "scope": "tenant", "components": component, "once": once}
    page = await browser.post(NEW, **given, credentials=typed)
    assert page.status_code == 400
    assert told in page.text
    first = where(await browser.post(NEW, **given, credentials='{"api_key": "k"}')).partition("?")[0]
    again = {"as_of": hidden(await browser.get(f"{first}/secret"), "as_of"), "credentials": typed}
    page = await browser.post(f"{first}/secret", **again)
    assert page.status_code == 400
    assert told in page.text
    assert (await read(globex.admin, first.rpartition("/")[2]))["attributes"]["credentials"] == {"api_key": "k"}


async def test_changing_sends_what_changes_and_refuses_what_somebody_else_changed(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    second = await keyrack.add_component(keyrack.tenants["Acme"], "second", SECOND_GENERATION, access="global")
    body = auth_client([component], ("tenant", globex.id), {**OAUTH2, "client_secret": SECRET})
    client = await make(globex.admin, body)
    await rejected(keyrack, client)
    browser, here = await at_globex(keyrack), f"/console/auth-clients/{client}"
    page = await browser.get(f"{here}/edit")
    same = {"as_of": hidden(page, "as_of"), "name": "Renamed", "components": component, "pkce": "on"}
    assert where(await browser.post(f"{here}/edit", **same)) == f"{here}?done=changed"
    assert "invalid_client: The secret &lt;b&gt;has expired&lt;/b&gt;." in (await browser.get(here)).text  # still so
    late = await browser.post(f"{here}/edit", **same | {"name": "Too late"})
    assert late.status_code == 400
    assert "somebody has changed the client since you opened it" in late.text
    page = await browser.get(f"{here}/edit")
    given = {
        "as_of": hidden(page, "as_of"), "name": "Renamed", "components": f"acme/second\n{component}\n",
        "client_auth": "basic", "token_expires_in": "600", "issuer": "https://login.example.com",
        "secret_ends_on": "2099-01-31",
    }  # fmt: skip
    assert where(await browser.post(f"{here}/edit", **given)) == f"{here}?done=changed"
    found = await read(globex.admin, client)
    expected = {"client_auth": "basic", "token_expires_in": 600, "issuer": "https://login.example.com", "pkce": False}
    assert found["attributes"]["credentials"].items() >= {**expected, "client_secret": SECRET}.items()
    assert {each["id"] for each in found["relationships"]["components"]["data"]} == {component, second}
    text = (await browser.get(here)).text
    assert "to be seen" in text
    assert "invalid_client" not in text
    page = await browser.get(f"{here}/edit")
    assert 'id="issuer"' not in page.text
    assert "acme/second" in page.text


async def test_a_rejected_client_says_why_and_what_to_do_and_is_mended(keyrack: World) -> None:
    component, globex = await ledger(keyrack), keyrack.tenants["Globex"]
    client = await make(globex.admin, auth_client([component], ("tenant", globex.id)))
    browser, here = await at_globex(keyrack), f"/console/auth-clients/{client}"
    assert "in order" in (await browser.get(here)).text
    await rejected(keyrack, client)
    page = await browser.get(here)
    assert "invalid_client: The secret &lt;b&gt;has expired&lt;/b&gt;." in page.text
    assert "store the secret here" in page.text
    assert where(await browser.post(f"{here}/retry")) == f"{here}?done=retry"
    assert "invalid_client" not in (await browser.get(here)).text
    await rejected(keyrack, client)
    page = await browser.get(f"{here}/secret")
    given = {"as_of": hidden(page, "as_of"), "client_secret": SECOND, "secret_ends_on": "2099-01-31"}
    assert where(await browser.post(f"{here}/secret", **given)) == f"{here}?done=secret"
    attributes = (await read(globex.admin, client))["attributes"]
    assert attributes["credentials"]["client_secret"] == SECOND
    assert attributes["secret_expires_at"] == "2099-01-31T00:00:00.000Z"
    assert "invalid_client" not in (await browser.get(here)).text
    guest = await at_globex(keyrack, "guest")
    await guest.get("/console")
    for path in ("edit", "secret", "retry", "delete"):
        assert (await guest.post(f"{here}/{path}", client_secret=SECRET)).status_code == 403, path
    assert (await read(globex.admin, client))["attributes"]["credentials"]["client_secret"] == SECOND


async def test_what_hangs_on_a_client_is_told_as_far_as_one_may_know(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(keyrack.tenants["Acme"], "calendar", CALENDAR, access="global")
    client = await make(globex.admin, auth_client([component], ("tenant", globex.id)))
    browser, here = await at_globex(keyrack), f"/console/auth-clients/{client}"
    empty = await browser.get(f"{here}/delete")
    assert "Delete the auth client Ledger app" in empty.text
    secret = (await make_secret(globex.integrator, globex.workspace_id, client))["id"]
    page = await browser.get(here)
    assert f"/console/workspaces/{globex.workspace_id}" in page.text
    assert "Find a flow" not in page.text
    step = node("acme/calendar:due", secret_id=secret)
    body = flow_body(globex.workspace_id, name="Invoices <b>", graph=graph_of(step))
    flow = resource(await globex.integrator.post("/v2/flows", body), 201)["id"]
    for path in (here, f"{here}/delete"):
        assert "Invoices &lt;b&gt;" in (await browser.get(path)).text
        assert "Invoices &lt;b&gt;" in (await browser.get(f"{path}?flow=VOICES")).text
        page = await browser.get(f"{path}?flow=other")
        assert "Invoices &lt;b&gt;" not in page.text
        assert "No flow that uses it has this" in page.text
        assert "<dt>Flows</dt><dd>1</dd>" in page.text
        assert "in workspaces that you are not in" not in page.text
    assert (await globex.integrator.delete(f"/v2/flows/{flow}")).status_code == 204
    usage = (await globex.admin.get(f"{PATH}/{client}/usage")).json()["data"]
    assert (usage["type"], usage["id"]) == ("auth-client-usage", client)
    workspace = {"id": globex.workspace_id, "name": "Globex workspace", "secrets": 1, "secrets_in_error": 0}
    assert usage["attributes"] == {
        "secrets": 1, "secrets_in_error": 0, "consents": 0, "workspace_count": 1, "user_count": 1,
        "workspaces": [workspace], "flow_count": 0, "flows": [], "complete": True, "provider_rules": [],
    }  # fmt: skip
    blocked = await browser.get(f"{here}/delete")
    assert "cannot be deleted" in blocked.text
    assert f'action="{here}/delete"' not in blocked.text
    assert (await browser.post(f"{here}/delete")).status_code == 409
    gone = await globex.integrator.delete(f"/v2/workspaces/{globex.workspace_id}/secrets/{secret}")
    assert gone.status_code == 204
    await browser.get(f"{here}/delete")
    assert where(await browser.post(f"{here}/delete")) == f"/console/auth-clients?done=deleted&undo={client}"
    assert (await globex.admin.get(f"{PATH}/{client}")).status_code == 404
    assert (await browser.post(f"{here}/delete")).status_code == 404


async def test_an_issuer_alone_is_enough_and_keyrack_registers_itself(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component, browser = await ledger(keyrack), await at_globex(keyrack)
    once = hidden(await browser.get(NEW), "once")
    given = {"type": "oauth2", "name": "Found", "scope": "tenant", "components": component, "once": once, "pkce": "on"}
    elsewhere = await browser.post(NEW, **given, issuer="http://127.0.0.1:2", registration="on")
    assert elsewhere.status_code == 400, "nobody is there, which is told in the form"
    made = where(await browser.post(NEW, **given, issuer=simulator.base_url, registration="on"))
    client_id = made.partition("?")[0].rpartition("/")[2]
    found = (await read(keyrack.tenants["Globex"].admin, client_id))["attributes"]["credentials"]
    assert found["auth_uri"] == simulator.authorization_endpoint
    assert found["client_id"] in simulator.state.registered
    assert where(await browser.post(NEW, **given, issuer=simulator.base_url, registration="on")) == made
    assert len(simulator.state.registered) == 1, "the same form again makes nothing"
