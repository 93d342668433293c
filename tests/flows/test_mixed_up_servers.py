"""A hostile server leads browsers to an honest one and wants its code (mix-up, RFC 9700 section 4.4; decision 42)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.issuer_name import issuer_name
from keyrack.simulator.config import Client
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_clients import AuthClientRows
from support.app import World, error_of, relationship
from support.auth_clients import auth_client, change, make
from support.consent import CALLBACK, approve, query_of
from support.hostile_server import HostileServer, running_hostile_server


@dataclass
class Desk:
    """Acme's integrator, who connects accounts at both servers.

    Neither names itself in callbacks (RFC 9207): only addresses tell them apart.
    """

    keyrack: World
    honest: RunningSimulator
    hostile: HostileServer

    @property
    def path(self) -> str:
        return f"/v2/workspaces/{self.keyrack.tenants['Acme'].workspace_id}"

    async def client(self, **credentials: Any) -> dict[str, Any]:
        """Make an auth client; return its id, and its credentials beside."""
        acme = self.keyrack.tenants["Acme"]
        component = await self.keyrack.add_component(
            acme, f"c{len(credentials)}", {"title": "C", "authClientTypes": ["oauth2"]}
        )
        made = await acme.admin.post("/v2/auth-clients", auth_client([component], ("tenant", acme.id), credentials))
        assert made.status_code == 201, made.text
        return {"id": made.json()["data"]["id"], **made.json()["data"]["attributes"]["credentials"]}

    async def of_hostile(self) -> str:
        """Add the hostile server by its address alone; return its auth client."""
        data = {"type": "mcp-server", "attributes": {"url": f"{self.hostile.url}/mcp"}}
        added = await self.keyrack.tenants["Acme"].integrator.post(f"{self.path}/mcp-servers", {"data": data})
        assert added.status_code == 200, added.text
        identifier: str = added.json()["data"]["id"]
        return identifier

    async def begun(self, auth_client_id: str) -> dict[str, Any]:
        about = {"auth_client": relationship("auth-client", auth_client_id)}
        body = {"data": {"type": "oauth-consent", "attributes": {}, "relationships": about}}
        started = await self.keyrack.tenants["Acme"].integrator.post(f"{self.path}/oauth-consents", body)
        assert started.status_code == 201, started.text
        data: dict[str, Any] = started.json()["data"]
        return data

    async def ended(self, consent: Mapping[str, Any]) -> dict[str, Any]:
        found = await self.keyrack.tenants["Acme"].integrator.get(f"{self.path}/oauth-consents/{consent['id']}")
        attributes: dict[str, Any] = found.json()["data"]["attributes"]
        return attributes

    async def require_refused(self, consent: Mapping[str, Any], callback: str) -> None:
        """Deliver the honest server's answer; nobody must get its code."""
        assert "code" in query_of(callback), "somebody has agreed at the honest server"
        page = await self.keyrack.http.get(callback)
        assert "another authorization server" in page.text
        ended = await self.ended(consent)
        assert ended["status"] == "failed"
        assert "another authorization server" in ended["error"]
        assert self.hostile.caught == [], "code and verifier stay here"
        assert self.honest.state.calls(endpoint="token") == 0
        again = await self.keyrack.http.get(callback)
        assert again.status_code == 400, "it was used up"
        assert self.hostile.caught == []


@pytest.fixture
async def desk(keyrack: World, simulator: RunningSimulator) -> AsyncIterator[Desk]:
    simulator.state.set_defaults({"approval": "auto", "iss": "omit"})
    hostile = HostileServer(simulator.authorization_endpoint, simulator.token_endpoint, dict)
    async with running_hostile_server(hostile):
        yield Desk(keyrack, simulator, hostile)


def as_client(client_id: str, redirect_uri: str) -> Any:
    """Return how a request to the hostile server becomes one of another client's: state and challenge stay."""
    return lambda asked: {**asked, "client_id": client_id, "redirect_uri": redirect_uri}


async def test_a_registered_clients_code_goes_to_its_own_server_alone(desk: Desk) -> None:
    known = await desk.client(issuer=desk.honest.base_url, registration={"token_endpoint_auth_method": "none"})
    assert known["redirect_uri"] == f"{CALLBACK}/{issuer_name(desk.honest.base_url)}"
    consent = await desk.begun(await desk.of_hostile())
    hostile_uri = f"{CALLBACK}/{issuer_name(desk.hostile.url)}"
    assert desk.hostile.registered[0]["redirect_uris"] == [hostile_uri]
    assert query_of(consent["attributes"]["authorization_url"])["redirect_uri"] == hostile_uri

    desk.hostile.turned = as_client(known["client_id"], known["redirect_uri"])
    desk.hostile.in_name_of = {"client_id": known["client_id"], "redirect_uri": known["redirect_uri"]}
    await desk.require_refused(consent, await approve(consent["attributes"]["authorization_url"]))

    consent = await desk.begun(await desk.of_hostile())
    desk.hostile.turned = as_client(known["client_id"], hostile_uri)
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        page = await browser.get(consent["attributes"]["authorization_url"])
    assert page.status_code == 400, "at the honest server that redirect URI is none of the client's"
    assert desk.hostile.caught == []

    honest = await desk.begun(known["id"])
    page = await desk.keyrack.http.get(await approve(honest["attributes"]["authorization_url"]))
    assert (await desk.ended(honest))["status"] == "completed", page.text


async def test_a_client_registered_by_hand_keeps_its_address_and_its_code(desk: Desk) -> None:
    desk.honest.state.add_client(
        Client(client_id="by-hand", token_endpoint_auth_method="none", redirect_uris=(CALLBACK,))
    )
    known = await desk.client(
        client_id="by-hand", client_auth="none",
        auth_uri=desk.honest.authorization_endpoint, token_uri=desk.honest.token_endpoint,
    )  # fmt: skip
    consent = await desk.begun(await desk.of_hostile())
    desk.hostile.turned = as_client("by-hand", CALLBACK)
    desk.hostile.in_name_of = {"client_id": "by-hand", "redirect_uri": CALLBACK}
    await desk.require_refused(consent, await approve(consent["attributes"]["authorization_url"]))
    honest = await desk.begun(known["id"])
    assert query_of(honest["attributes"]["authorization_url"])["redirect_uri"] == CALLBACK
    await desk.keyrack.http.get(await approve(honest["attributes"]["authorization_url"]))
    assert (await desk.ended(honest))["status"] == "completed"


async def test_a_refusal_of_another_server_ends_the_consent_too(desk: Desk) -> None:
    consent = await desk.begun(await desk.of_hostile())
    state = query_of(consent["attributes"]["authorization_url"])["state"]
    page = await desk.keyrack.http.get(f"{CALLBACK}?state={state}&error=access_denied")
    assert "another authorization server" in page.text
    assert (await desk.ended(consent))["status"] == "failed"
    elsewhere = await desk.keyrack.http.get(f"{CALLBACK}/{issuer_name('https://third.example')}?state={state}&code=c")
    assert elsewhere.status_code == 400


async def test_what_was_connected_is_told_at_its_own_address_alone(desk: Desk) -> None:
    known = await desk.client(issuer=desk.honest.base_url, registration={})
    consent = await desk.begun(known["id"])
    callback = await approve(consent["attributes"]["authorization_url"])
    await desk.keyrack.http.get(callback)
    assert (await desk.ended(consent))["status"] == "completed"
    moved = callback.replace(f"/{issuer_name(desk.honest.base_url)}", "")
    assert (await desk.keyrack.http.get(moved)).status_code == 400
    assert (await desk.keyrack.http.get(callback)).status_code == 200


async def test_a_client_that_was_registered_before_keeps_the_address_that_it_has(desk: Desk) -> None:
    known = await desk.client(issuer=desk.honest.base_url, registration={"token_endpoint_auth_method": "none"})
    acme = desk.keyrack.tenants["Acme"]
    async with desk.keyrack.store.unit(acme.id, writes=True) as unit:  # as it was stored until 0.1
        client = await AuthClientRows(unit).find(known["id"])
        assert client is not None
        del client.credentials["redirect_uri"]
        await AuthClientRows(unit).replace(client, desk.honest.base_url, forgive=False)
    before = desk.honest.state.clients[known["client_id"]]
    desk.honest.state.put_client(
        Client(client_id=before.client_id, token_endpoint_auth_method="none", redirect_uris=(CALLBACK,))
    )
    consent = await desk.begun(known["id"])
    assert query_of(consent["attributes"]["authorization_url"])["redirect_uri"] == CALLBACK
    page = await desk.keyrack.http.get(await approve(consent["attributes"]["authorization_url"]))
    assert (await desk.ended(consent))["status"] == "completed", page.text


async def test_somebody_who_registers_by_hand_may_take_the_issuers_own_address(desk: Desk) -> None:
    own = f"{CALLBACK}/{issuer_name(desk.honest.base_url)}"
    secret = Secret("a-secret")
    desk.honest.state.add_client(Client(client_id="own", client_secret=secret, redirect_uris=(own,)))
    common = {"issuer": desk.honest.base_url, "client_id": "own", "client_secret": secret.reveal()}
    known = await desk.client(**common, redirect_uri=own)
    consent = await desk.begun(known["id"])
    await desk.keyrack.http.get(await approve(consent["attributes"]["authorization_url"]))
    assert (await desk.ended(consent))["status"] == "completed"

    acme, pointer = desk.keyrack.tenants["Acme"], "/data/attributes/credentials/redirect_uri"
    component = await desk.keyrack.add_component(
        acme, "more", {"title": "C", "authClientTypes": ["oauth2"]}, access="global"
    )
    for wrong in ("https://evil.example/callback", f"https://evil.example/callback/oauth2/{own.rpartition('/')[2]}",
                  f"{CALLBACK}/{issuer_name('https://third.example')}", f"{CALLBACK}/x", 5):  # fmt: skip
        body = auth_client([component], ("tenant", acme.id), {**common, "redirect_uri": wrong})
        assert error_of(await acme.admin.post("/v2/auth-clients", body)) == (400, "validation_error", pointer), wrong
    moved = change({"credentials": {"redirect_uri": CALLBACK}})
    assert error_of(await acme.admin.patch(f"/v2/auth-clients/{known['id']}", moved))[2] == pointer
    documented = await make(
        acme.admin, auth_client([component], ("tenant", acme.id), {**common, "redirect_uri": CALLBACK})
    )
    consent = await desk.begun(documented)
    assert query_of(consent["attributes"]["authorization_url"])["redirect_uri"] == CALLBACK
