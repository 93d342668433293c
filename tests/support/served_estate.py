"""A served Keyrack with one of everything, made over HTTP; recognisable secrets in it, and where none may come out."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from support.app import relationship
from support.keyrack_processes import Served
from support.postgres import PostgresServer

DESCRIPTOR: dict[str, Any] = {
    "title": "Connected",
    "envVars": {"CONNECTED_KEY": {"required": True}, "CONNECTED_SECRET": {"required": True}},
    "useOAuthClient": True,
    "credentials": {
        "fields": {
            "oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"},
            "prodEnv": {"label": "Environment", "viewClass": "TextFieldView"},
        },
        "oauth2": {
            "client_id": "{{CONNECTED_KEY}}",
            "client_secret": "{{CONNECTED_SECRET}}",
            "auth_uri": "https://{{prodEnv}}.example.com/auth",
            "token_uri": "https://{{prodEnv}}.example.com/token",
        },
    },
    "actions": {"run": {"title": "Run", "main": "./run.js"}},
}


def document(resource_type: str, attributes: dict[str, Any], **relationships: Any) -> dict[str, Any]:
    """Return the body of a create request."""
    return {"data": {"type": resource_type, "attributes": attributes, "relationships": relationships}}


def build_estate(served: Served) -> dict[str, str]:
    """Make a component with a build and an OAuth client, a credential, a consent and a flow.

    Returns:
        Ids by the names of the path and query parameters they belong to.
    """
    ids = {name: served.first[name] for name in ("tenant_id", "contract_id", "workspace_id", "team_id")}
    ids["user_id"] = served.first["admin"]["user_id"]
    with httpx2.Client(base_url=served.base, auth=served.admin) as http:

        def make(path: str, body: dict[str, Any]) -> str:
            answer = http.post(path, json=body)
            assert answer.status_code == 201, answer.text
            identifier: str = answer.json()["data"]["id"]
            return identifier

        team = relationship("team", ids["team_id"])
        ids["component_id"] = make("/v2/components", document("component", {"name": "connected"}, team=team))
        component = relationship("component", ids["component_id"])
        versions = f"/v2/components/{ids['component_id']}/versions"
        ids["revision"] = make(versions, document("version", {"descriptor": DESCRIPTOR}))
        client = {"client_id": "an-id", "client_secret": "a-secret"}
        clients = f"/v2/tenants/{ids['tenant_id']}/oauth-clients"
        ids["oauth_client_id"] = make(clients, document("oauth-client", client, component=component))
        workspace = relationship("workspace", ids["workspace_id"])
        credential = document(
            "credential", {"name": "Mine", "keys": {"a": "b"}}, component=component, workspace=workspace
        )
        ids["credential_id"] = make("/v2/credentials", credential)
        consents = f"/v2/workspaces/{ids['workspace_id']}/oauth-consents"
        fields = {"name": "Mine", "fields": {"prodEnv": "login"}}
        ids["consent_id"] = make(consents, document("oauth-consent", fields, component=component))
        node = {"id": "step_1", "command": "main/connected:run", "name": "", "description": ""}
        flow = {"name": "Friday", "type": "ordinary", "default_mapper_type": "jsonata"}
        graph = {"graph": {"nodes": [node], "edges": []}}
        ids["flow_id"] = make("/v2/flows", document("flow", flow | graph, workspace=workspace))
        ids["step_id"] = "step_1"
        ids["version"] = http.get(f"/v2/flows/{ids['flow_id']}/versions").json()["data"][0]["id"]
    return ids


_AROUND = 500


class Telling:
    """Calls Keyrack as its first admin; keeps the secrets that went in, and every error that came out."""

    def __init__(self, served: Served, http: httpx2.AsyncClient) -> None:
        self.http, self.first = http, served.first
        self.errors: list[str] = []
        self.planted = [served.admin[1], served.first["service_account"]["api_key"]]

    async def call(self, method: str, path: str, expect: int | None, body: Any = None, **more: Any) -> Any:
        """Send a request; keep the answer if it is an error."""
        if body is not None:
            more["json"] = body
        answer = await self.http.request(method, path, **more)
        assert expect is None or answer.status_code == expect, (method, path, answer.status_code, answer.text)
        if answer.status_code >= 400:
            self.errors.append(str(answer.headers) + answer.text)
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text


def dump(server: PostgresServer, database: str) -> str:
    """Return all rows of all tables as text, bytes in hex."""
    names = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database).split("\n")
    assert len(names) > 15
    return "\n".join(server.sql(f"SELECT row_to_json(t)::text FROM {name} t", database) for name in names)


def files_under(home: Path, *, but: str) -> str:
    """Return the bytes of all files in a folder, as characters, except those of one name."""
    found = [path for path in sorted(home.rglob("*")) if path.is_file() and path.name != but]
    return "\n".join(path.read_bytes().decode("latin-1") for path in found)


def require_absent(secrets: Iterable[str], looked_through: Mapping[str, str]) -> None:
    """Insist that no secret is in any of the texts, as it is or in one of the usual encodings."""
    for secret in secrets:
        for where, text in looked_through.items():
            for form in _forms(secret):
                assert form not in text, (where, secret, text[max(0, text.index(form) - _AROUND) :][: 2 * _AROUND])


def _forms(secret: str) -> set[str]:
    clear = secret.encode()
    forms = {secret, clear.hex(), base64.b64encode(clear).decode().rstrip("="), quote(secret, safe="")}
    if secret.startswith("whsec_"):  # what signs is what these characters stand for
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return forms
        forms |= {key.hex(), key.decode("latin-1"), secret.removeprefix("whsec_")}
    return forms
