"""Secrets of the second generation, of OAuth 1.0a, webhooks, teams and users come out nowhere, on both databases.

Looked through: what a serving process logs at level debug, error documents, audit log, events and deliveries, what a
webhook was sent, `/metrics`, an export without secrets, and the database: all rows, or the raw files. The provider of
the failures sends everything it was sent back in its error text.
"""

import asyncio
import base64
import json
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_plus

import httpx2
import pytest
from aiohttp import web

from keyrack.crypto.secret import Secret
from keyrack.simulator.config import Client, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import BASE, relationship
from support.consent import approve, query_of
from support.grants import approve_oauth1, oauth1_component
from support.keyrack_processes import Served, bootstrapped, run_command, serving
from support.loopback_peers import Message, Receiver, receiving
from support.postgres import PostgresServer
from support.served_estate import Telling, document, dump, files_under, require_absent

CLIENT_SECRET = "canary-client/secret+x="
PASSWORDS = ["canary-user-passw0rd", "canary-second-passw0rd"]
REGISTRY = "canary-registry-password"
TYPED = {
    "basic": {"username": "me", "password": "canary-basic-password"},
    "api_key": {"headerName": "X-Key", "headerValue": "canary-header-value"},
}
TOKENS = {"access_token": "canary-access/token", "refresh_token": "canary-refresh/token+1", "expires_in": 3600}
SECOND = {
    "title": "Second generation",
    "authClientTypes": ["oauth2", "basic", "api_key"],
    "credentials": {"oauth2": {}},
    "actions": {"run": {"title": "Run", "main": "./run.js"}},
}


async def echoing(message: Message) -> web.StreamResponse:
    """Refuse, and tell the caller all that it sent: as it was written, and decoded."""
    if message.path == "/hook":
        return web.Response(status=204)
    sent = message.body.decode()
    authorization = message.headers.get("authorization", "")
    clear = base64.b64decode(authorization.partition(" ")[2]).decode() if authorization.startswith("Basic") else ""
    said = f"{authorization} {clear} {unquote_plus(clear)} {sent} {dict(parse_qsl(sent))}"
    if "oauth1" in message.path:
        return web.Response(status=401, text=f"oauth_problem=signature_invalid&oauth_problem_advice={said}")
    return web.json_response({"error": "invalid_request", "error_description": said}, status=400)


class Grants(Telling):
    """Makes one of everything that holds a secret."""

    def __init__(
        self, served: Served, http: httpx2.AsyncClient, simulator: RunningSimulator, receiver: Receiver
    ) -> None:
        super().__init__(served, http)
        self.simulator, self.receiver = simulator, receiver
        self.tenant = f"/v2/tenants/{self.first['tenant_id']}"
        self.workspace = f"/v2/workspaces/{self.first['workspace_id']}"
        self.planted += [CLIENT_SECRET, REGISTRY, *PASSWORDS]
        self.planted += [TYPED["basic"]["password"], TYPED["api_key"]["headerValue"]]
        self.planted += [str(TOKENS[name]) for name in ("access_token", "refresh_token")]

    async def webhook(self) -> str:
        made = await self.call("POST", f"{self.tenant}/webhooks", 201, document("webhook", {"url": self.receiver.url}))
        webhook_id: str = made["data"]["id"]
        again = await self.call("POST", f"{self.tenant}/webhooks/{webhook_id}/rotate-secret", 200)
        self.planted += [each["data"]["attributes"]["secret"] for each in (made, again)]
        return webhook_id

    async def component(self, name: str, descriptor: dict[str, Any]) -> str:
        team = relationship("team", self.first["team_id"])
        made = await self.call("POST", "/v2/components", 201, document("component", {"name": name}, team=team))
        component_id: str = made["data"]["id"]
        versions = f"/v2/components/{component_id}/versions"
        await self.call("POST", versions, 201, document("version", {"descriptor": descriptor}))
        return component_id

    async def auth_client(self, component_id: str, kind: str, token_uri: str = "", **more: Any) -> str:
        credentials = {
            "client_id": "app",
            "client_secret": CLIENT_SECRET,
            "auth_uri": self.simulator.authorization_endpoint,
            "token_uri": token_uri,
            "refresh_token_uri": token_uri,
            "revocation_uri": f"{self.simulator.base_url}/revoke",
        }
        about = {"name": kind, "type": kind, "credentials": {**credentials, **more} if token_uri else {}}
        components = {"data": [{"id": component_id, "type": "component"}]}
        scope = relationship("workspace", self.first["workspace_id"])
        body = document("auth-client", about, components=components, workspace=scope)
        client_id: str = (await self.call("POST", "/v2/auth-clients", 201, body))["data"]["id"]
        return client_id

    async def consent(self, **named: Any) -> Any:
        path = f"{self.workspace}/oauth-consents"
        return path, (await self.call("POST", path, 201, document("oauth-consent", {}, **named)))["data"]

    async def connected(self, client_id: str) -> str:
        """Go through a consent of an auth client; return its secret's path."""
        path, started = await self.consent(auth_client=relationship("auth-client", client_id))
        callback = await approve(started["attributes"]["authorization_url"])
        self.planted += [query_of(callback)["state"], query_of(callback)["code"]]
        await self.call("GET", callback.removeprefix(BASE), 200)
        ended = (await self.call("GET", f"{path}/{started['id']}", 200))["data"]
        secret = f"{self.workspace}/secrets/{ended['relationships']['auth_secret']['data']['id']}"
        self.plant_tokens(await self.call("GET", secret, 200))
        return secret

    def plant_tokens(self, document: Any) -> None:
        credentials = document["data"]["attributes"]["credentials"]
        self.planted += [credentials["access_token"], credentials["refresh_token"]]

    async def secret(self, client_id: str, credentials: Any, expect: int = 201) -> str:
        body = document(
            "auth-secret",
            {"name": "Mine", "credentials": credentials},
            auth_client=relationship("auth-client", client_id),
        )
        made = await self.call("POST", f"{self.workspace}/secrets", expect, body)
        return f"{self.workspace}/secrets/{made['data']['id']}" if expect == 201 else ""

    async def second_generation(self) -> None:
        component_id = await self.component("second", SECOND)
        good = await self.auth_client(component_id, "oauth2", self.simulator.token_endpoint)
        secret = await self.connected(good)
        self.plant_tokens(await self.call("POST", f"{secret}/refresh", 200))
        await self.call("DELETE", secret, 204)
        for auth in ("basic", "post"):
            echo = self.receiver.url.replace("/hook", f"/{auth}")
            client = await self.auth_client(component_id, "oauth2", echo, client_auth=auth)
            mine = await self.secret(client, TOKENS)
            await self.call("POST", f"{mine}/refresh", 400)
            await self.call(
                "PATCH", mine, 200, {"data": {"type": "auth-secret", "attributes": {"credentials": TOKENS}}}
            )
            path, started = await self.consent(auth_client=relationship("auth-client", client))
            callback = await approve(started["attributes"]["authorization_url"])
            self.planted.append(query_of(callback)["code"])
            self.errors.append(str(await self.call("GET", callback.removeprefix(BASE), 400)))
            self.errors.append(str(await self.call("GET", f"{path}/{started['id']}", 200)))
        dead = await self.secret(good, TOKENS)
        await self.call("POST", f"{dead}/refresh", 400)
        for kind, credentials in TYPED.items():
            await self.secret(await self.auth_client(component_id, kind), credentials)
        await self.secret(good, {"access_token": [TOKENS["access_token"]]}, expect=400)
        await self.secret("0" * 24, TOKENS, expect=404)

    async def oauth1(self) -> None:
        component_id = await self.component("birdsong", oauth1_component(self.simulator.base_url))
        refusing = await self.component("raven", oauth1_component(self.receiver.url.replace("/hook", "")))
        rejecting = oauth1_component(
            self.simulator.base_url, access_token_uri=self.receiver.url.replace("/hook", "/oauth1/access_token")
        )
        late = await self.component("magpie", rejecting)
        for each in (component_id, refusing, late):
            client = document(
                "oauth-client",
                {"client_id": "app", "client_secret": CLIENT_SECRET},
                component=relationship("component", each),
            )
            await self.call("POST", f"{self.tenant}/oauth-clients", 201, client)
        ended = await self.consent_oauth1(component_id, 200)
        credential = ended["relationships"]["credential"]["data"]["id"]
        nest = (await self.call("GET", f"/v2/credentials/{credential}", 200))["data"]["attributes"]["keys"]["nest"]
        self.planted += [nest["oauth_token"], nest["oauth_token_secret"]]
        failed = await self.consent_oauth1(late, 400)
        self.errors.append(str(failed))
        body = document("oauth-consent", {}, component=relationship("component", refusing))
        await self.call("POST", f"{self.workspace}/oauth-consents", 400, body)

    async def consent_oauth1(self, component_id: str, expect: int) -> Any:
        path, started = await self.consent(component=relationship("component", component_id))
        address = started["attributes"]["authorization_url"]
        temporary = self.simulator.state.oauth1.temporary(query_of(address)["oauth_token"])
        assert temporary is not None
        callback = await approve_oauth1(address)
        self.planted += [temporary.token, temporary.secret, query_of(callback)["oauth_verifier"]]
        page = await self.call("GET", callback.removeprefix(BASE), expect)
        self.errors += [page] if expect >= 400 else []
        return (await self.call("GET", f"{path}/{started['id']}", 200))["data"]

    async def people(self) -> None:
        for password, expect in zip(PASSWORDS, (201, 409), strict=True):
            about = {"first_name": "A", "last_name": "B", "email": "a@example.com", "password": password}
            await self.call("POST", "/v2/users", expect, document("user", about))
        await self.call("POST", "/v2/users", 400, document("user", {"email": PASSWORDS[0], "password": [PASSWORDS[1]]}))
        team = f"/v2/teams/{self.first['team_id']}"
        for registry, expect in (({"password": REGISTRY}, 200), (REGISTRY, 400)):
            body = {"data": {"type": "team", "attributes": {"docker_registry": registry}}}
            await self.call("PATCH", team, expect, body)
        await self.call("GET", team, 200)


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; empty for SQLite in Keyrack's folder."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""


async def test_no_secret_of_grants_webhooks_teams_or_users_comes_out(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = tmp_path / "home"
    settings = {
        "KEYRACK_PUBLIC_URL": BASE,
        "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true",
        "KEYRACK_LOG_LEVEL": "debug",
        "KEYRACK_LOG_FORMAT": "json",
        **({"KEYRACK_DATABASE_URL": database} if database else {}),
    }
    first = await asyncio.to_thread(bootstrapped, home, **settings)
    key = (home / "key").read_text().strip()
    config = SimulatorConfig(
        clients=(Client(client_id="app", client_secret=Secret(CLIENT_SECRET), redirect_match="any"),),
        behaviour={"approval": "auto"},
        access_log=False,
    )
    running = serving(home, first, **settings)
    served = await asyncio.to_thread(running.__enter__)
    try:
        async with (
            running_simulator(config) as simulator,
            receiving() as receiver,
            httpx2.AsyncClient(base_url=served.base, auth=served.admin, timeout=60) as http,
        ):
            receiver.answer = echoing
            story = Grants(served, http, simulator, receiver)
            webhook_id = await story.webhook()
            await story.second_generation()
            await story.oauth1()
            await story.people()
            while not any(b"secret.created" in message.body for message in receiver.sent_to("/hook")):
                receiver.arrived.clear()
                await asyncio.wait_for(receiver.arrived.wait(), 60)
            trail = await story.call("GET", f"{story.tenant}/audit-events?page[size]=1000", 200)
            events = await story.call("GET", f"{story.tenant}/events", 200)
            deliveries = await story.call("GET", f"{story.tenant}/webhooks/{webhook_id}/deliveries", 200)
            account = served.first["service_account"]
            as_support = (account["username"], account["api_key"])
            metrics = str(await story.call("GET", "/metrics", 200, auth=as_support))
            told = [f"{message.headers} {message.body!r}" for message in receiver.sent_to("/hook")]
        exported = tmp_path / "export.json"
        done = await asyncio.to_thread(
            partial(run_command, home, "export", "platform", str(exported), **cast("dict[str, Any]", settings))
        )
        assert done.returncode == 0, done.stderr
        looked_through = {
            "log": served.log(),
            "errors": "\n".join(story.errors),
            "audit": json.dumps(trail),
            "events": json.dumps([events, deliveries]),
            "webhook": "\n".join(told),
            "metrics": metrics,
            "export": exported.read_text() + done.stdout + done.stderr,
            "files": files_under(home, but="key"),
        }
        if database:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            looked_through["database"] = dump(server, database.rpartition("/")[2])
        else:
            assert any(path.name.endswith("-wal") for path in home.iterdir()), "what was just written is there"
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    assert len(story.planted) > 25
    assert len(story.errors) > 8
    assert len(events["data"]) > 3
    assert len(json.loads(exported.read_text())["auth_secrets"]) > 3
    assert "keyrack_" in metrics
    require_absent([*story.planted, key], looked_through)
    assert "canary" not in "".join(looked_through.values())
    assert "Traceback" not in looked_through["log"]
