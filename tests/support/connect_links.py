"""Connect links: making one, and what a person without an account does with it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, Caller, World, relationship
from support.auth_clients import SECOND_GENERATION, auth_client
from support.auth_clients import make as make_client
from support.consent import approve
from support.grants import client_credentials


async def make_link(who: Caller, workspace_id: str, related: dict[str, Any], **attributes: Any) -> httpx2.Response:
    """Make a link; `related` are relationships."""
    data = {"type": "connect-link", "attributes": attributes, "relationships": related}
    return await who.post(f"/v2/workspaces/{workspace_id}/connect-links", {"data": data})


async def link_for(keyrack: World, component_id: str, **attributes: Any) -> dict[str, Any]:
    """Let Globex's integrator make a link for a component; return the resource."""
    globex = keyrack.tenants["Globex"]
    related = {"component": relationship("component", component_id)}
    answer = await make_link(globex.integrator, globex.workspace_id, related, **attributes)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def outcome(keyrack: World, link_id: str) -> dict[str, Any]:
    """Return a link as Globex's integrator, who made it, sees it."""
    globex = keyrack.tenants["Globex"]
    answer = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/connect-links/{link_id}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def status_of(keyrack: World, link_id: str) -> str:
    """Return how far a link has come."""
    status: str = (await outcome(keyrack, link_id))["attributes"]["status"]
    return status


async def events_of(keyrack: World, *kinds: str) -> list[dict[str, Any]]:
    """Return type and data of Globex's events of some types."""
    globex = keyrack.tenants["Globex"]
    listed = (await globex.admin.get(f"/v2/tenants/{globex.id}/events")).json()["data"]
    attributes = [each["attributes"] for each in listed]
    return [{"type": each["type"], **each["data"]} for each in attributes if each["type"] in kinds]


async def oauth2_client_of(keyrack: World, simulator: RunningSimulator) -> str:
    """Make an auth client of Globex's workspace at the simulator; return its id."""
    globex = keyrack.tenants["Globex"]
    calendar = await keyrack.add_component(globex, "calendar", SECOND_GENERATION)
    body = auth_client([calendar], ("workspace", globex.workspace_id), client_credentials(simulator.token_endpoint))
    return await make_client(globex.integrator, body)


@asynccontextmanager
async def someone(keyrack: World) -> AsyncIterator[httpx2.AsyncClient]:
    """Let a person sit down at a browser without cookies."""
    transport = httpx2.ASGITransport(app=keyrack.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        yield http


def form_of(page: httpx2.Response) -> dict[str, str]:
    """Return what the page's form sends along."""
    (token,) = re.findall(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    return {"form_token": token}


async def go_on(person: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """Open a link and press its button."""
    page = await person.get(url)
    assert page.status_code == 200, page.text
    return await person.post(url, data=form_of(page))


async def callback_of(person: httpx2.AsyncClient, url: str) -> str:
    """Go to the provider by a link; return the address that the browser comes back to."""
    begun = await go_on(person, url)
    assert begun.status_code == 303, begun.text
    return await approve(begun.headers["location"])


async def connected(person: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """Use a link from its page to the end; return the last answer."""
    return await person.get(await callback_of(person, url))
