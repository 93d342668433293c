"""One of everything, made over HTTP in a served Keyrack: so that hostile requests meet resources that exist."""

from typing import Any

import httpx2

from support.app import relationship
from support.served import Served

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
