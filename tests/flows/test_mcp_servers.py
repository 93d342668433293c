"""MCP servers by their address alone (decision 42): found, known to them in each of the ways, connected, stepped up."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.oauth.issuer_name import issuer_name
from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, error_of, relationship, settings_for, world
from support.auth_clients import auth_client
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, approve, query_of
from support.mcp_server import McpOptions, RunningMcpServer
from support.raw_provider import RawProvider, http_answer, json_answer

Start = Callable[[McpOptions], RunningMcpServer]
StartOidc = Callable[[OidcOptions], OidcProvider]
PUBLIC = "https://keyrack.example.com"


@dataclass
class Desk:
    """Somebody in Acme's workspace who wants to use an MCP server."""

    keyrack: World
    base: str = BASE

    @property
    def path(self) -> str:
        return f"/v2/workspaces/{self.keyrack.tenants['Acme'].workspace_id}"

    async def add(self, url: str, **attributes: Any) -> httpx2.Response:
        data = {"type": "mcp-server", "attributes": {"url": url, **attributes}}
        return await self.keyrack.tenants["Acme"].integrator.post(f"{self.path}/mcp-servers", {"data": data})

    async def added(self, url: str, **attributes: Any) -> dict[str, Any]:
        answer = await self.add(url, **attributes)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def begun(self, auth_client_id: str, secret_id: str | None = None, **attributes: Any) -> dict[str, Any]:
        """Start a consent; return it."""
        about = {"auth_client": relationship("auth-client", auth_client_id)}
        if secret_id is not None:
            about["auth_secret"] = relationship("auth-secret", secret_id)
        body = {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": about}}
        started = await self.keyrack.tenants["Acme"].integrator.post(f"{self.path}/oauth-consents", body)
        assert started.status_code == 201, started.text
        data: dict[str, Any] = started.json()["data"]
        return data

    async def connected(self, consent: dict[str, Any]) -> dict[str, Any]:
        """Approve a consent; return its secret."""
        callback = await approve(consent["attributes"]["authorization_url"], f"{self.base}/callback/oauth2")
        page = await self.keyrack.http.get(callback)
        assert page.status_code == 200, page.text
        who = self.keyrack.tenants["Acme"].integrator
        ended = (await who.get(f"{self.path}/oauth-consents/{consent['id']}")).json()["data"]
        secret_id = ended["relationships"]["auth_secret"]["data"]["id"]
        secret: dict[str, Any] = (await who.get(f"{self.path}/secrets/{secret_id}")).json()["data"]
        return secret

    async def connect(self, auth_client_id: str, secret_id: str | None = None, **attributes: Any) -> dict[str, Any]:
        return await self.connected(await self.begun(auth_client_id, secret_id, **attributes))


@pytest.fixture
async def desk(keyrack: World) -> Desk:
    return Desk(keyrack)


@pytest.fixture
async def public_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An installation with an address that authorization servers could fetch a document from."""
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=PUBLIC)
    async with world(settings) as keyrack:
        yield Desk(keyrack, PUBLIC)


def token_of(secret: dict[str, Any]) -> str:
    token: str = secret["attributes"]["credentials"]["access_token"]
    return token


async def test_an_address_alone_is_enough_and_more_scopes_keep_the_secret(desk: Desk, start_mcp_server: Start) -> None:
    server = start_mcp_server(McpOptions())
    added = await desk.added(server.url)
    assert added["attributes"] == {
        "url": server.url,
        "resource": server.url,
        "authorization_server": f"{server.origin}/",
        "client_identification": "dynamic_registration",
        "scopes": ["mcp:use"],
    }, "the refusal's scopes, not all that there are"
    assert (await desk.added(server.url))["id"] == added["id"], "a second registration would be another client"
    client_id = added["relationships"]["auth_client"]["data"]["id"]
    consent = await desk.begun(client_id)
    asked = query_of(consent["attributes"]["authorization_url"])
    assert (asked["resource"], asked["scope"], asked["code_challenge_method"]) == (server.url, "mcp:use", "S256")
    secret = await desk.connected(consent)
    assert (await server.call("tools/list", token_of(secret))).status_code == 200

    refreshed = await desk.keyrack.tenants["Acme"].integrator.post(f"{desk.path}/secrets/{secret['id']}/refresh")
    assert refreshed.status_code == 200, "the server refuses a refresh without resource"
    refused = await server.call("tools/call", token_of(refreshed.json()["data"]), name="whoami", arguments={})
    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert "insufficient_scope" in challenge

    consent = await desk.begun(client_id, secret["id"], challenge=challenge)
    assert query_of(consent["attributes"]["authorization_url"])["scope"] == "mcp:use mcp:tools"
    again = await desk.connected(consent)
    assert again["id"] == secret["id"], "flows go on using it"
    assert again["attributes"]["requested_scopes"] == ["mcp:use", "mcp:tools"]
    called = await server.call("tools/call", token_of(again), name="whoami", arguments={})
    assert called.status_code == 200, called.text
    assert "result" in called.json()
    exact = query_of((await desk.begun(client_id, secret["id"], scopes="x"))["attributes"]["authorization_url"])
    assert exact["scope"] == "x", "who does not ask for what was granted gets what was named"
    more = await desk.begun(client_id, secret["id"], scopes=["x"], include_granted_scopes=True)
    assert query_of(more["attributes"]["authorization_url"])["scope"] == "mcp:use mcp:tools x"


async def test_a_client_of_another_type_is_none_for_a_server(desk: Desk, start_mcp_server: Start) -> None:
    server, acme = start_mcp_server(McpOptions()), desk.keyrack.tenants["Acme"]
    component = await desk.keyrack.add_component(acme, "keys", {"title": "Keys", "authClientTypes": ["api_key"]})
    body = auth_client([component], ("tenant", acme.id), {"resource": server.url, "issuer": 1}, kind="api_key")
    made = await acme.admin.post("/v2/auth-clients", body)
    assert made.status_code == 201, made.text
    assert (await desk.added(server.url))["id"] != made.json()["data"]["id"]


async def test_our_document_names_us_at_oidc_provider(
    public_desk: Desk, start_oidc_provider: StartOidc, start_mcp_server: Start
) -> None:
    issuer = "https://login.example.com/tenant"
    name = issuer_name(issuer)
    assert re.fullmatch(r"login\.example\.com-[0-9a-f]{32}", name)
    address = f"{PUBLIC}/oauth/client-metadata/{name}"
    served = await public_desk.keyrack.http.get(f"/oauth/client-metadata/{name}")
    assert served.headers["content-type"] == "application/json"
    assert served.headers["cache-control"] == "public, max-age=3600"
    document = served.json()
    assert document == {
        "client_id": address,
        "client_name": "Keyrack at keyrack.example.com, for login.example.com",
        "client_uri": PUBLIC,
        "redirect_uris": [f"{PUBLIC}/callback/oauth2/{name}"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    older = (await public_desk.keyrack.http.get("/oauth/client-metadata.json")).json()
    assert older["client_id"] == f"{PUBLIC}/oauth/client-metadata.json", "clients that exist go on being named by it"
    assert older["redirect_uris"] == [f"{PUBLIC}/callback/oauth2"]
    unknown = await public_desk.keyrack.http.get("/oauth/client-metadata/bank.example")
    assert error_of(unknown)[:2] == (404, "not_found"), "no name of an issuer"
    any_issuers = json.loads(json.dumps(document).replace(name, "*"))
    resource = RegisteredClient("resource-server", "a-secret-of-the-resource")
    options = OidcOptions(
        (resource,), client_documents={address.replace(name, "*"): any_issuers}, resource_scope="mcp:use mcp:tools"
    )
    provider = start_oidc_provider(options)
    introspection = {
        "issuer": provider.issuer,
        "endpoint": f"{provider.issuer}/token/introspection",
        "client_id": resource.client_id,
        "client_secret": resource.client_secret,
    }
    server = start_mcp_server(McpOptions(introspection=introspection))
    added = await public_desk.added(server.url)
    assert added["attributes"]["client_identification"] == "client_id_metadata_document"
    assert added["attributes"]["authorization_server"] == provider.issuer
    assert added["attributes"]["scopes"] == ["mcp:use", "offline_access"], "the server offers refresh tokens that way"
    consent = await public_desk.begun(added["id"])
    asked = query_of(consent["attributes"]["authorization_url"])
    assert asked["prompt"] == "consent"
    ours = issuer_name(provider.issuer)
    assert asked["client_id"] == f"{PUBLIC}/oauth/client-metadata/{ours}"
    assert asked["redirect_uri"] == f"{PUBLIC}/callback/oauth2/{ours}"
    secret = await public_desk.connected(consent)
    assert (await server.call("tools/list", token_of(secret))).status_code == 200


async def test_a_client_that_somebody_registered(desk: Desk, start_mcp_server: Start) -> None:
    known = {"client_id": "by-hand", "client_secret": "shh", "redirect_uris": [CALLBACK]}
    server = start_mcp_server(McpOptions(registers=False, clients=(known,)))
    refused = await desk.add(server.url)
    assert error_of(refused) == (400, "validation_error", "/data/attributes/client_id")
    assert "registers no clients" in refused.text
    issuer = f"{server.origin}/"
    pointer, by_hand = "/data/attributes/authorization_server", {"client_id": "by-hand", "client_secret": "shh"}
    unsaid = await desk.add(server.url, **by_hand)
    assert error_of(unsaid) == (400, "validation_error", pointer)
    assert issuer in unsaid.text, "whom the server names, and nobody else"
    wrong = await desk.add(server.url, **by_hand, authorization_server="https://login.example.com")
    assert error_of(wrong) == (400, "validation_error", pointer)
    assert f"does not name this one, but {issuer}" in wrong.text
    assert error_of(await desk.add(server.url, authorization_server="ftp://x")) == (400, "validation_error", pointer)
    added = await desk.added(server.url, **by_hand, authorization_server=issuer, name="Ours")
    assert added["attributes"]["client_identification"] == "pre_registered"
    secret = await desk.connect(added["id"])
    assert (await server.call("tools/list", token_of(secret))).status_code == 200
    assert "shh" not in str(added), "who may connect need not know the secret"
    assert error_of(await desk.add(server.url, client_id="another"))[:2] == (409, "already_exists")
    elsewhere = await desk.add(server.url, client_id="by-hand", authorization_server="https://login.example.com")
    assert error_of(elsewhere)[:2] == (409, "already_exists")

    acme, other = desk.keyrack.tenants["Acme"], f"{server.origin}/other"
    component = await desk.keyrack.add_component(acme, "c", {"title": "C", "authClientTypes": ["oauth2"]})
    given = {"client_id": "of-tenant", "client_secret": "shh", "issuer": f"{server.origin}/", "resource": other}
    made = await acme.admin.post("/v2/auth-clients", auth_client([component], ("tenant", acme.id), given))
    assert made.status_code == 201, made.text
    assert (await desk.added(other))["id"] == made.json()["data"]["id"], "an admin's client serves all workspaces"


async def test_the_simulator_is_such_a_server_and_strict(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    desk = Desk(keyrack_on_each)
    simulator.state.set_defaults({"approval": "auto"})
    added = await desk.added(f"{simulator.base_url}/mcp")
    assert added["attributes"]["scopes"] == ["mcp"]
    secret = await desk.connect(added["id"])
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token_of(secret)}"}) as client:
        used = await client.post(f"{simulator.base_url}/mcp", json={"method": "tools/list"})
        assert used.status_code == 200
        refused = await client.post(f"{simulator.base_url}/mcp", json={"method": "tools/call"})
        assert refused.status_code == 403
        again = await desk.connect(added["id"], secret["id"], challenge=refused.headers["www-authenticate"])
        assert again["id"] == secret["id"]
        client.headers["authorization"] = f"Bearer {token_of(again)}"
        assert (await client.post(f"{simulator.base_url}/mcp", json={"method": "tools/call"})).status_code == 200
    bound = await desk.begun(added["id"], bound=True)
    page = await desk.keyrack.http.get(bound["attributes"]["authorization_url"])
    assert f"127.0.0.1:{simulator.base_url.rpartition(':')[2]}/mcp" in page.text, "whose account it is for"


def metadata(raw: RawProvider, **members: Any) -> bytes:
    issuer = {
        "issuer": raw.url,
        "authorization_endpoint": f"{raw.url}/a",
        "token_endpoint": f"{raw.url}/t",
        "code_challenge_methods_supported": ["S256"],
        **members,
    }
    return json_answer(httpx2.Response(200, json=issuer).text)


def challenge(address: str) -> bytes:
    return http_answer(status="401 No", WWW_Authenticate=f'Bearer resource_metadata="{address}"')


def resource(raw: RawProvider, **members: Any) -> bytes:
    document = {"resource": f"{raw.url}/mcp", "authorization_servers": [raw.url], **members}
    return json_answer(httpx2.Response(200, json=document).text)


async def test_what_a_hostile_server_says(desk: Desk, raw_provider: RawProvider) -> None:
    raw, missing = raw_provider, http_answer(b"no", "404 Not Found")
    well_known = f"{raw.url}/.well-known/oauth-protected-resource/mcp"
    cases: list[tuple[str, list[bytes], str]] = [
        ("another's resource", [challenge(well_known), resource(raw, resource="https://bank.example/mcp")], "9728"),
        ("the whole host's", [challenge(well_known), resource(raw, resource=raw.url)], "9728"),
        ("a sibling of it", [challenge(well_known), resource(raw, resource=f"{raw.url}/mc")], "9728"),
        ("metadata elsewhere", [challenge("file:///etc/passwd")], "cannot be used"),
        ("no metadata where it says", [challenge(well_known), missing], "9728"),
        ("a redirect", [http_answer(status="307 Go", Location="https://elsewhere.example/")], "redirects"),
        ("no authorization server", [challenge(well_known), resource(raw, authorization_servers=[])], "names no"),
        ("a server that is none", [challenge(well_known), resource(raw, authorization_servers=["ftp://x"])], "https"),
        ("an unread server", [challenge(well_known), resource(raw, authorization_servers=["https://["])], "server ?"),
        ("another issuer's metadata", [challenge(well_known), resource(raw), metadata(raw, issuer="https://x.example")],
         "names another issuer"),
        ("nothing at all", [missing], "has no metadata"),
        ("no PKCE", [challenge(well_known), resource(raw), metadata(raw, code_challenge_methods_supported=["plain"])],
         "PKCE"),
        ("PKCE unsaid", [challenge(well_known), resource(raw), metadata(raw, code_challenge_methods_supported=None)],
         "PKCE"),
    ]  # fmt: skip
    for name, answers, told in cases:
        raw.answers = answers
        refused = await desk.add(f"{raw.url}/mcp")
        assert error_of(refused) == (400, "validation_error", "/data/attributes/url"), (name, refused.text)
        assert told in refused.text, (name, refused.text)
    for url in ("ftp://mcp.example.com", "http://mcp.example.com:25/", "https://mcp.example.com/{client_secret}"):
        assert error_of(await desk.add(url)) == (400, "validation_error", "/data/attributes/url")
    raw.answers = [missing, missing, missing, metadata(raw, client_id_metadata_document_supported=True)]
    kept = await desk.added(f"{raw.url}/mcp", client_id="c")
    assert kept["attributes"]["authorization_server"] == raw.url, "as servers had it before there was metadata"
    assert b'"method": "initialize"' in raw.requests[0], "what every client says first"


async def test_without_a_public_address_there_is_no_document(desk: Desk) -> None:
    for path in ("/oauth/client-metadata.json", f"/oauth/client-metadata/{issuer_name('https://a.example')}"):
        assert error_of(await desk.keyrack.http.get(path))[:2] == (404, "not_found")


async def test_a_challenge_must_be_one(desk: Desk, simulator: RunningSimulator) -> None:
    simulator.state.set_defaults({"approval": "auto"})
    added = await desk.added(f"{simulator.base_url}/mcp")
    who, path = desk.keyrack.tenants["Acme"].integrator, f"{desk.path}/oauth-consents"
    about = {"auth_client": relationship("auth-client", added["id"])}
    data = {"type": "oauth-consent", "attributes": {"challenge": "Basic realm=x"}, "relationships": about}
    refused = await who.post(path, {"data": data})
    assert error_of(refused) == (400, "validation_error", "/data/attributes/challenge")
    first = {"type": "oauth-consent", "attributes": {"include_granted_scopes": True}}
    first["relationships"] = {"component": relationship("component", "0" * 24)}
    refused = await who.post(path, {"data": first})
    assert error_of(refused) == (400, "validation_error", "/data/attributes/include_granted_scopes")
