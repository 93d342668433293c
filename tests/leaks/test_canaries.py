"""Recognisable secrets go through the main story and its failures; none comes out where it must not.

Looked through: everything a serving process writes at level debug in both formats, every error document, the audit
log, the public pages, and all rows of the database (issue 2.6, design invariant 4).
"""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.crypto.secret import Secret
from keyrack.simulator.config import Client, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import BASE, relationship
from support.consent import approve, oauth_component, query_of
from support.keyrack_processes import Served, bootstrapped, serving
from support.postgres import PostgresServer
from support.served_estate import Telling, document, dump, require_absent

CLIENT_SECRET, ENV_SECRET, KEY_VALUE = "canary-client-secret", "canary-env-value", "canary-credential-value"
SENT_ONLY = ["canary-in-bad-json", "canary-in-query", "canary-as-password", "canary-of-wrong-type", "canary-too-large"]
FAILURES = [
    "status:500",
    "fail:invalid_grant",
    "errors_as_200,fail:server_error",
    "hang_up:midway",
    "reply_format:html",
    "no_refresh_token",
]


class Story(Telling):
    """Plays the story as the first admin and keeps what comes back."""

    def __init__(self, served: Served, http: httpx2.AsyncClient, simulator: RunningSimulator) -> None:
        super().__init__(served, http)
        self.simulator = simulator
        self.planted += [CLIENT_SECRET, ENV_SECRET, KEY_VALUE]

    async def component(self, name: str, sim: str = "") -> str:
        team = relationship("team", self.first["team_id"])
        made = await self.call("POST", "/v2/components", 201, document("component", {"name": name}, team=team))
        component_id: str = made["data"]["id"]
        token_uri = self.simulator.token_endpoint + (f"?sim={sim}" if sim else "")
        descriptor = oauth_component(self.simulator.authorization_endpoint, token_uri)
        descriptor["envVars"] = {"APP_KEY": {}, "APP_SECRET": {}, "OTHER": {}}
        versions = f"/v2/components/{component_id}/versions"
        await self.call("POST", versions, 201, document("version", {"descriptor": descriptor}))
        return component_id

    async def client(self, component_id: str, secret: str, expect: int = 201) -> None:
        body = document(
            "oauth-client",
            {"client_id": "app", "client_secret": secret},
            component=relationship("component", component_id),
        )
        await self.call("POST", f"/v2/tenants/{self.first['tenant_id']}/oauth-clients", expect, body)

    async def consent(self, component_id: str) -> Any:
        """Go through a consent and return it as it ended; its state and code are secrets too."""
        path = f"/v2/workspaces/{self.first['workspace_id']}/oauth-consents"
        body = document("oauth-consent", {"name": "Mine"}, component=relationship("component", component_id))
        started = (await self.call("POST", path, 201, body))["data"]
        callback = await approve(started["attributes"]["authorization_url"])
        self.planted += [query_of(callback)["state"], query_of(callback)["code"]]
        await self.call("GET", callback.removeprefix(BASE), None)
        return (await self.call("GET", f"{path}/{started['id']}", 200))["data"]

    async def connect_link(self, component_id: str) -> None:
        """Make a connect link and look at it; its secret part is one."""
        path = f"/v2/workspaces/{self.first['workspace_id']}/connect-links"
        body = document("connect-link", {"name": "Theirs"}, component=relationship("component", component_id))
        url = (await self.call("POST", path, 201, body))["data"]["attributes"]["url"]
        self.planted.append(query_of(url)["link"])
        await self.call("GET", url.removeprefix(BASE), None)

    async def success(self) -> str:
        """Play what goes well; return the component's id."""
        component_id = await self.component("works")
        variables = {"vars": {"APP_KEY": "app", "APP_SECRET": ENV_SECRET, "OTHER": ENV_SECRET}}
        await self.call("PUT", f"/v2/components/{component_id}/env", 200, document("component-env", variables))
        await self.client(component_id, CLIENT_SECRET)
        await self.connect_link(component_id)
        consent = await self.consent(component_id)
        assert consent["attributes"]["status"] == "completed", consent
        credential = consent["relationships"]["credential"]["data"]["id"]
        found = await self.call("GET", f"/v2/credentials/{credential}", 200)
        oauth = found["data"]["attributes"]["keys"]["oauth"]
        self.planted += [oauth["access_token"], oauth["refresh_token"]]
        await self.call("PUT", f"/v1/accounts/{credential}", 200, {"keys": {"extra": KEY_VALUE}})
        key = document("api-key", {"name": "second"})
        self.planted.append(
            (await self.call("POST", "/v2/users/me/api-keys", 201, key))["data"]["attributes"]["api_key"]
        )
        return component_id

    async def provider_failures(self) -> None:
        for index, failure in enumerate(FAILURES):
            component_id = await self.component(f"fails-{index}", failure)
            await self.client(component_id, CLIENT_SECRET)
            assert (await self.consent(component_id))["attributes"]["status"] == "failed", failure
        component_id = await self.component("wrong-secret")
        await self.client(component_id, CLIENT_SECRET + "-wrong")
        assert (await self.consent(component_id))["attributes"]["status"] == "failed"

    async def refusals(self, component_id: str) -> None:
        await self.client(component_id, CLIENT_SECRET, expect=409)
        clients = f"/v2/tenants/{self.first['tenant_id']}/oauth-clients"
        wrong = document("oauth-client", {"client_id": ["canary-of-wrong-type"], "client_secret": CLIENT_SECRET})
        await self.call("POST", clients, 400, wrong)
        await self.call("POST", clients, 409, document("canary-of-wrong-type", {"client_secret": CLIENT_SECRET}))
        json_type = {"content-type": "application/json"}
        await self.call("POST", clients, 400, content=b'{"canary-in-bad-json": canary-in-bad-json', headers=json_type)
        await self.call("POST", clients, 413, content=b"canary-too-large" * 100_000, headers=json_type)
        await self.call("GET", "/v2/users?page[size]=canary-in-query&sort=canary-in-query", 400)
        await self.call("GET", "/callback/oauth2?code=canary-in-query&state=canary-in-query", 400)
        await self.call("GET", "/callback/oauth1?oauth_token=canary-in-query&oauth_verifier=canary-in-query", 400)
        await self.call("GET", "/v2/users/me", 401, auth=("root@example.com", "canary-as-password"))
        await self.call("GET", "/v2/users/me", 401, headers={"authorization": "Bearer canary-as-password"}, auth=None)

    async def write_secrets(self, component_id: str, expect: int | None) -> None:
        """Write secrets that a fault of the database will meet."""
        component = relationship("component", component_id)
        workspace = relationship("workspace", self.first["workspace_id"])
        keys = {"name": "Mine", "keys": {"a": KEY_VALUE}}
        body = document("credential", keys, component=component, workspace=workspace)
        await self.call("POST", "/v2/credentials", expect, body)
        variables = {"vars": {"APP_SECRET": ENV_SECRET}}
        body = document("component-env", variables)
        await self.call("PUT", f"/v2/components/{component_id}/env", expect, body)


@pytest.fixture(params=["json", "console"])
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> Iterator[tuple[Served, str, list[str]]]:
    """A serving process on PostgreSQL with a key and a database password that are canaries too."""
    database = postgres_url.rpartition("/")[2]
    role, password = f"role_{database}", "canary-database-password"
    postgres_server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    postgres_server.sql(f"ALTER DATABASE {database} OWNER TO {role}")
    key = base64.b64encode(os.urandom(32)).decode()
    settings = {
        "KEYRACK_DATABASE_URL": f"postgresql://{role}:{password}@127.0.0.1:{postgres_server.port}/{database}",
        "KEYRACK_KEY": key,
        "KEYRACK_PUBLIC_URL": BASE,
        "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true",
        "KEYRACK_LOG_LEVEL": "debug",
        "KEYRACK_LOG_FORMAT": request.param,
    }
    with serving(tmp_path, bootstrapped(tmp_path, **settings), **settings) as running:
        yield running, database, [password, key]
    postgres_server.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    postgres_server.sql(f"REASSIGN OWNED BY {role} TO postgres", database)
    postgres_server.sql(f"DROP OWNED BY {role}", database)
    postgres_server.sql(f"ALTER DATABASE {database} OWNER TO postgres")
    postgres_server.sql(f"DROP ROLE {role}")


async def test_no_canary_comes_out(
    installation: tuple[Served, str, list[str]], postgres_server: PostgresServer
) -> None:
    served, database, configured = installation
    client = Client(client_id="app", client_secret=Secret(CLIENT_SECRET), redirect_match="any")
    config = SimulatorConfig(clients=(client,), behaviour={"approval": "auto"}, access_log=False)
    async with (
        running_simulator(config) as simulator,
        httpx2.AsyncClient(base_url=served.base, auth=served.admin, timeout=60) as http,
    ):
        story = Story(served, http, simulator)
        component_id = await story.success()
        await story.provider_failures()
        await story.refusals(component_id)
        for table in ("credentials", "component_env"):
            postgres_server.sql(f"ALTER TABLE {table} RENAME TO {table}_away", database)
        await story.write_secrets(component_id, 500)
        for table in ("credentials", "component_env"):
            postgres_server.sql(f"ALTER TABLE {table}_away RENAME TO {table}", database)
        postgres_server.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
        postgres_server.sql(cut)
        await story.write_secrets(component_id, 503)
        postgres_server.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        await story.write_secrets(component_id, None)
        trail = await story.call("GET", f"/v2/tenants/{story.first['tenant_id']}/audit-events?page[size]=1000", 200)
        pages = [str(await story.call("GET", path, 200)) for path in ("/openapi.json", "/readyz", "/docs")]

    log = served.log()
    looked_through = {
        "log": log,
        "errors": "\n".join(story.errors),
        "audit": str(trail),
        "pages": "\n".join(pages),
        "database": dump(postgres_server, database),
    }
    assert "fault" in log, "the faults were forced and logged"
    assert len(story.errors) > 12
    assert len(trail["data"]) > 20
    secrets = [*story.planted, *configured, *SENT_ONLY]
    assert len(secrets) > 25
    require_absent(secrets, looked_through)
    assert "canary" not in "".join(looked_through.values())
    assert "Traceback" not in log
