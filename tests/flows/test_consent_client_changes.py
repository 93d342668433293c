"""A consent's exchange uses the client's secret as it is then, and the redirect_uri that the browser was sent with.

For both generations, as the provider sees it over real HTTP. What else of a client may change fails the consent:
`test_consent_rechecks.py`, `test_consent_secret_rechecks.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from support.app import World, relationship, settings_for, world
from support.consent import add_oauth_client, oauth_component, query_of
from support.grants import add_auth_client
from support.raw_provider import RawProvider, tokens_answer

GENERATIONS = ["first", "second"]


class Begun:
    """A consent that Acme's integrator has started; the browser is at the provider."""

    def __init__(self, world: World, provider: RawProvider) -> None:
        self.world, self.provider, self.acme = world, provider, world.tenants["Acme"]

    async def start(self, generation: str) -> None:
        self.named = await (self._first() if generation == "first" else self._second())
        await self.start_again()

    async def start_again(self) -> None:
        """Start one more with the same client."""
        data = {"type": "oauth-consent", "relationships": self.named}
        path = f"/v2/workspaces/{self.acme.workspace_id}/oauth-consents"
        started = await self.acme.integrator.post(path, {"data": data})
        assert started.status_code == 201, started.text
        self.query = query_of(started.json()["data"]["attributes"]["authorization_url"])
        self.provider.answers = [tokens_answer()]

    async def _first(self) -> dict[str, Any]:
        descriptor = oauth_component(f"{self.provider.url}/authorize", self.provider.token_endpoint)
        component = await self.world.add_component(self.acme, "connected", descriptor)
        client = await add_oauth_client(self.world, "Acme", component, "the-client", "old-secret")
        self.client_path = f"/v2/tenants/{self.acme.id}/oauth-clients/{client}"
        return {"component": relationship("component", component)}

    async def _second(self) -> dict[str, Any]:
        endpoint = self.provider.token_endpoint
        client = await add_auth_client(self.world.store, self.acme.id, endpoint, client_secret="old-secret")
        self.client_path = f"/v2/auth-clients/{client.id}"
        return {"auth_client": relationship("auth-client", client.id)}

    async def change_the_client_secret(self) -> None:
        data = (await self.acme.admin.get(self.client_path)).json()["data"]
        values = data["attributes"] if data["type"] == "oauth-client" else data["attributes"]["credentials"]
        values["client_secret"] = "new-secret"
        if data["type"] == "auth-client":  # its components stay as they are
            del data["relationships"]
        changed = await self.acme.admin.patch(self.client_path, {"data": data})
        assert changed.status_code == 200, changed.text

    async def come_back(self) -> httpx2.Response:
        query = urlencode({"code": "the-code", "state": self.query["state"]})
        return await self.world.http.get(f"/callback/oauth2?{query}")


@pytest.fixture
async def begun(tmp_path: Path, raw_provider: RawProvider) -> AsyncIterator[Begun]:
    """Without a public URL, so that callbacks are at each tenant's own domain (contract 0.7)."""
    async with world(settings_for(tmp_path, allow_insecure_providers="true")) as made:
        yield Begun(made, raw_provider)


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_the_code_is_exchanged_with_the_secret_of_that_moment(begun: Begun, generation: str) -> None:
    await begun.start(generation)
    await begun.change_the_client_secret()
    assert (await begun.come_back()).status_code == 200
    (form,) = begun.provider.forms
    assert form["client_secret"] == "new-secret"
    assert form["code_verifier"]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_secret_that_changes_while_the_code_is_exchanged_takes_nothing_away(
    begun: Begun, generation: str
) -> None:
    await begun.start(generation)
    begun.provider.go_on.clear()
    coming = asyncio.create_task(begun.come_back())
    await asyncio.wait_for(begun.provider.asked.wait(), 60)
    await begun.change_the_client_secret()
    begun.provider.go_on.set()
    assert (await coming).status_code == 200
    assert [form["client_secret"] for form in begun.provider.forms] == ["old-secret"]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_the_redirect_uri_is_the_same_in_both_requests_whatever_the_domain_is_by_then(
    begun: Begun, generation: str
) -> None:  # contract 20.1, RFC 6749 section 4.1.3
    await begun.start(generation)
    assert begun.query["redirect_uri"] == "https://acme.example/callback/oauth2"
    data = {"type": "tenant", "attributes": {"app_domain": "moved.example"}}
    assert (await begun.world.support.patch(f"/v2/tenants/{begun.acme.id}", {"data": data})).status_code == 200
    assert (await begun.come_back()).status_code == 200
    (form,) = begun.provider.forms
    assert form["redirect_uri"] == begun.query["redirect_uri"]
    await begun.start_again()
    assert begun.query["redirect_uri"] == "https://moved.example/callback/oauth2"
