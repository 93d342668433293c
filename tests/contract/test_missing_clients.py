"""The 409 `oauth_client_missing` says what is missing and who can mend it, by every way (contract 0.4, 8.6, 17, 20.2).

Acme owns the components, which are global; Globex uses them and has an OAuth client only where a test makes one.
"""

from typing import Any

import httpx2
import pytest

from keyrack.store.oauth_clients import OAuthClientRows
from support.app import World, error_of, relationship
from support.consent import add_oauth_client, oauth_component, start
from support.flows import flow_body, graph_of, node

AUTH, TOKEN = "https://login.example.com/auth", "https://login.example.com/token"
LINK = "/data/relationships/component/data/id"
TIMER = {"title": "Timer", "actions": {"run": {"title": "Run", "main": "./run.js"}}}


def asking(**more: Any) -> dict[str, Any]:
    return oauth_component(AUTH, TOKEN) | more


def said(answer: httpx2.Response) -> str:
    """Return the detail of the one error, which must be this one."""
    assert error_of(answer)[:2] == (409, "oauth_client_missing"), answer.text
    detail: str = answer.json()["errors"][0]["detail"]
    return detail


async def shared(world: World, name: str, descriptor: dict[str, Any]) -> str:
    return await world.add_component(world.tenants["Acme"], name, descriptor, access="global")


async def test_connecting_without_a_client_names_component_and_cure_and_the_cure_works(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    component = await shared(keyrack, "asks", asking())
    refused = await start(globex.integrator, globex.workspace_id, component)
    cure = f"a tenant admin can create one with POST /v2/tenants/{globex.id}/oauth-clients"
    assert said(refused) == f"the tenant has no OAuth client for acme/asks; {cure}"
    assert error_of(refused)[2] == LINK
    attributes = {"client_id": "globex-id", "client_secret": "globex-secret"}
    about = {"component": relationship("component", component)}
    body = {"data": {"type": "oauth-client", "attributes": attributes, "relationships": about}}
    assert (await globex.admin.post(f"/v2/tenants/{globex.id}/oauth-clients", body)).status_code == 201
    assert (await start(globex.integrator, globex.workspace_id, component)).status_code == 201


@pytest.mark.parametrize("has_client", [False, True])
async def test_a_component_that_takes_no_client_does_not_send_for_one(keyrack: World, has_client: bool) -> None:
    """Whether the tenant has one or not, it would never be used: the descriptor does not ask for it (20.2)."""
    globex = keyrack.tenants["Globex"]
    component = await shared(keyrack, "legacy", asking(useOAuthClient=False, useOauthClient=True))
    if has_client:
        await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    detail = said(await start(globex.integrator, globex.workspace_id, component))
    assert "has no OAuth client" not in detail
    assert "does not say useOAuthClient" in detail
    assert "only its owner's tenant can connect" in detail
    env = {
        "data": {
            "type": "component-env",
            "attributes": {"vars": {"APP_KEY": "key-canary", "APP_SECRET": "secret-canary"}},
        }
    }
    acme = keyrack.tenants["Acme"]
    assert (await acme.admin.put(f"/v2/components/{component}/env", env)).status_code == 200
    assert "canary" not in (await start(globex.integrator, globex.workspace_id, component)).text


async def test_a_component_that_nobody_can_connect_is_no_matter_of_clients(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    no_field = asking(useOAuthClient=False)
    no_field["credentials"] = {"oauth2": no_field["credentials"]["oauth2"]}
    answer = await start(globex.integrator, globex.workspace_id, await shared(keyrack, "no-field", no_field))
    assert error_of(answer)[:2] == (400, "validation_error")
    assert "no field that takes an OAuth token" in answer.text


async def test_the_owners_own_tenant_is_told_of_variables_and_of_the_client(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "own", asking())
    answer = await start(acme.integrator, acme.workspace_id, component)
    assert answer.status_code == 400
    details = [error["detail"] for error in answer.json()["errors"]]
    assert all("a tenant admin creates an OAuth client for the component, or its developer" in each for each in details)


async def test_a_client_deleted_while_somebody_connects_is_not_said_to_come_yet(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    component = await shared(keyrack, "asks", asking())
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    started = (await start(globex.integrator, globex.workspace_id, component)).json()["data"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        client = await OAuthClientRows(unit).for_component(component)
        assert client is not None
        await OAuthClientRows(unit).remove(client.id)
    state = httpx2.URL(started["attributes"]["authorization_url"]).params["state"]
    page = await keyrack.http.get("/callback/oauth2", params={"state": state, "code": "x"})
    assert page.status_code == 400
    assert "the tenant has no OAuth client for acme/asks" in page.text
    assert " yet" not in page.text


async def test_connecting_with_an_auth_client_for_a_gated_component(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    component = await shared(keyrack, "both", asking(authClientTypes=["oauth2"]))
    link = {"components": {"data": [relationship("component", component)["data"]]}}
    credentials = {"client_id": "a", "client_secret": "b", "auth_uri": AUTH, "token_uri": TOKEN}
    attributes = {"name": "Both", "type": "oauth2", "credentials": credentials}
    scope = {"tenant": relationship("tenant", globex.id)}
    body = {"data": {"type": "auth-client", "attributes": attributes, "relationships": link | scope}}
    made = await globex.admin.post("/v2/auth-clients", body)
    assert made.status_code == 201, made.text
    wanted = {"component": relationship("component", component)}
    wanted["auth_client"] = relationship("auth-client", made.json()["data"]["id"])
    consent = {"data": {"type": "oauth-consent", "relationships": wanted}}
    refused = await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/oauth-consents", consent)
    assert said(refused).startswith("the tenant has no OAuth client for acme/both; ")
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    again = await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/oauth-consents", consent)
    assert again.status_code == 201, again.text


async def test_a_flow_names_all_components_that_wait_once_each(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    for name in ("first", "second"):
        await shared(keyrack, name, asking())
    body = flow_body(globex.workspace_id, "acme/first:run")
    steps = [node(f"acme/{name}:run", f"step_{n}") for n, name in enumerate(("first", "second", "first"))]
    body["data"]["attributes"]["graph"] = graph_of(*steps)
    refused = await globex.integrator.post("/v2/flows", body)
    assert said(refused).startswith("the tenant has no OAuth client for acme/first, acme/second; ")
    assert error_of(refused)[2] == "/data/attributes/graph/nodes/0/command"


async def test_starting_a_flow_names_them_too(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await shared(keyrack, "later", TIMER)
    made = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id, "acme/later:run"))
    flow = made.json()["data"]["id"]
    body = {"data": {"type": "version", "attributes": {"descriptor": asking()}}}
    assert (await acme.admin.post(f"/v2/components/{component}/versions", body)).status_code == 201
    refused = await globex.integrator.post(f"/v2/flows/{flow}/start")
    assert said(refused).startswith("the tenant has no OAuth client for acme/later; a tenant admin can create one")
    assert error_of(refused)[2] is None
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    assert (await globex.integrator.post(f"/v2/flows/{flow}/start")).status_code == 202


async def test_the_runner_is_told_without_a_pointer_into_a_body_that_it_did_not_send(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    component = await shared(keyrack, "asks", asking())
    path = f"/v2/workspaces/{globex.workspace_id}/components/{component}/runtime-env"
    refused = await keyrack.support.get(path)
    assert said(refused).startswith("the tenant has no OAuth client for acme/asks; ")
    assert error_of(refused)[2] is None
