"""Consents with an auth client whose token endpoint answers with given bytes."""

import json
from typing import Any
from urllib.parse import urlencode

from support.app import Caller, World, relationship
from support.consent import CALLBACK, query_of, start
from support.grants import add_auth_client
from support.raw_provider import RawProvider, json_answer

AttributesOf = dict[str, Any]


def tokens_answer(**members: Any) -> bytes:
    """Return a token response, by default with both tokens, as the bytes of an HTTP answer."""
    return json_answer(json.dumps({"access_token": "at-new", "refresh_token": "rt-new", **members}))


class RawConsents:
    """Connects accounts of Acme's integrator at a raw provider."""

    def __init__(self, world: World, provider: RawProvider) -> None:
        self.world = world
        self.provider = provider
        self.tenant = world.tenants["Acme"]
        self.who: Caller = self.tenant.integrator
        self.client_id = ""

    async def begin(self, **credentials: Any) -> None:
        """Make the auth client."""
        made = await add_auth_client(self.world.store, self.tenant.id, self.provider.token_endpoint, **credentials)
        self.client_id = made.id

    async def consent(self, answer: bytes, secret_id: str | None = None, **attributes: Any) -> AttributesOf:
        """Go through a consent whose code is exchanged for `answer`; return the consent as its starter then sees it."""
        self.provider.answers = [answer]
        named = {"auth_client": relationship("auth-client", self.client_id)}
        if secret_id is not None:
            named["auth_secret"] = relationship("auth-secret", secret_id)
        path = f"/v2/workspaces/{self.tenant.workspace_id}/oauth-consents"
        data = {"type": "oauth-consent", "attributes": attributes, "relationships": named}
        started = await self.who.post(path, {"data": data})
        assert started.status_code == 201, started.text
        return await self.finish(started.json()["data"])

    async def first_generation(self, answer: bytes, component_id: str) -> AttributesOf:
        """As `consent`, for a component with an OAuth field."""
        self.provider.answers = [answer]
        started = await start(self.who, self.tenant.workspace_id, component_id)
        assert started.status_code == 201, started.text
        return await self.finish(started.json()["data"])

    async def finish(self, consent: dict[str, Any]) -> AttributesOf:
        """Be the browser that comes back with a code."""
        state = query_of(consent["attributes"]["authorization_url"])["state"]
        await self.world.http.get(f"{CALLBACK}?{urlencode({'code': 'the-code', 'state': state})}")
        path = f"/v2/workspaces/{self.tenant.workspace_id}/oauth-consents/{consent['id']}"
        found: AttributesOf = (await self.who.get(path)).json()["data"]
        return found

    async def connect(self, answer: bytes, **attributes: Any) -> str:
        """Go through a consent that succeeds; return the id of its secret."""
        done = await self.consent(answer, **attributes)
        assert done["attributes"]["status"] == "completed", done
        secret_id: str = done["relationships"]["auth_secret"]["data"]["id"]
        return secret_id

    def path(self, secret_id: str) -> str:
        return f"/v2/workspaces/{self.tenant.workspace_id}/secrets/{secret_id}"

    async def seen(self, secret_id: str) -> AttributesOf:
        """Return a secret's attributes."""
        answer = await self.who.get(self.path(secret_id))
        assert answer.status_code == 200, answer.text
        attributes: AttributesOf = answer.json()["data"]["attributes"]
        return attributes

    async def refresh(self, secret_id: str, answer: bytes) -> AttributesOf:
        """Refresh a secret by hand with an answer; return its attributes, whatever came of it."""
        self.provider.answers = [answer]
        await self.who.post(f"{self.path(secret_id)}/refresh")
        return await self.seen(secret_id)

    async def events(self, kind: str) -> list[AttributesOf]:
        """Return the data of the tenant's events of a type."""
        answer = await self.tenant.admin.get(f"/v2/tenants/{self.tenant.id}/events?filter[type]={kind}")
        return [entry["attributes"]["data"] for entry in answer.json()["data"]]
