"""A valid body for every route that takes one, so that a refusal is due to the caller's standing alone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keyrack.service.authz.permissions import DEFAULT_ROLES
from support.app import relationship
from support.auth_clients import MCP_SERVER, auth_client
from support.flows import flow_body, graph_of, node

Ids = Mapping[str, str]
ROLES = [
    {"role": "auditor", "scope": "contracts", "permissions": [], "i18n": {"en": "Auditor"}},
    *(
        {"role": role.role, "scope": role.scope, "permissions": sorted(role.permissions), "i18n": dict(role.i18n)}
        for role in DEFAULT_ROLES
    ),
]
"""The roles that a tenant has, and one more."""


class Noted(Mapping[str, str]):
    """Ids that remember which of them were asked for."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._ids[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _data(resource_type: str, attributes: Any = None, resource_id: str | None = None, **related: Any) -> Any:
    data: dict[str, Any] = {"type": resource_type, "attributes": {} if attributes is None else attributes}
    if resource_id is not None:
        data["id"] = resource_id
    if related:
        data["relationships"] = related
    return {"data": data}


def _graph(ids: Ids) -> dict[str, Any]:
    team = ids["team_name"]
    return graph_of(
        node(f"{team}/{team}-connected:due", component_id=ids["component_id"], credentials_id=ids["credential_id"]),
        node(f"{team}/{team}-calendar:due", "step_2", secret_id=ids["secret_id"]),
    )


def _consent(ids: Ids) -> Any:
    credential = relationship("credential", ids["credential_id"])
    return _data("oauth-consent", component=relationship("component", ids["component_id"]), credential=credential)


def _oauth_client(ids: Ids, component: str) -> Any:
    pair = {"client_id": "an id", "client_secret": "a secret"}
    return _data("oauth-client", pair, component=relationship("component", ids[component]))


def _auth_client(ids: Ids, kind: str) -> Any:
    return auth_client([ids["second_id"]], (kind, ids[f"{kind}_id"]))


def _auth_secret(ids: Ids) -> Any:
    tokens = {"name": "New", "credentials": {"access_token": "at"}}
    return _data("auth-secret", tokens, auth_client=relationship("auth-client", ids["auth_client_id"]))


def _credential(ids: Ids) -> Any:
    component = relationship("component", ids["component_id"])
    return _data("credential", component=component, workspace=relationship("workspace", ids["workspace_id"]))


_PERSON = {"first_name": "A", "last_name": "B", "email": "new@users.example", "password": "correct h0rse"}
_TENANT = {"name": "New", "app_domain": "new.example", "code": "", "mandrill_email_from": ""}
_INVITE = {"email": "new@guests.example", "roles": ["member"]}
_AUTH_CLIENT = {"name": "New name"}
_NEW_SECRET = _data("client-secret-rotation", {"client_secret": "the new one"})
_PROMOTED = _data("client-secret-rotation", {"state": "promoted"})

BODIES: dict[str, Callable[[Ids], Any]] = {
    "PUT /v1/accounts/{credential_id}": lambda _: {"keys": {"more": "handed back"}},
    "POST /v2/tenants": lambda _: _data("tenant", _TENANT),
    "PATCH /v2/tenants/{tenant_id}": lambda _: _data("tenant", {"name": "New"}),
    "PATCH /v2/tenants/{tenant_id}/connect-theme": lambda _: _data("connect-theme", {"display_name": "New"}),
    "PATCH /v2/tenants/{tenant_id}/roles": lambda _: _data("tenant-policy", {"roles": ROLES}),
    "PATCH /v2/tenants/{tenant_id}/members/{user_id}": lambda _: _data("tenant-member", {"roles": ["tenant-admin"]}),
    "POST /v2/tenants/{tenant_id}/auth-clients": lambda ids: _auth_client(ids, "tenant"),
    "PATCH /v2/tenants/{tenant_id}/auth-clients/{tenant_auth_client_id}": lambda _: _data("auth-client", _AUTH_CLIENT),
    "POST /v2/auth-clients/{auth_client_id}/secret-rotation": lambda _: _NEW_SECRET,
    "PATCH /v2/auth-clients/{lone_auth_client_id}/secret-rotation": lambda _: _PROMOTED,
    "POST /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/secret-rotation": lambda _: _NEW_SECRET,
    "PATCH /v2/tenants/{tenant_id}/oauth-clients/{lone_oauth_client_id}/secret-rotation": lambda _: _PROMOTED,
    "POST /v2/tenants/{tenant_id}/oauth-clients": lambda ids: _oauth_client(ids, "second_id"),
    "PATCH /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}": lambda ids: _oauth_client(ids, "component_id"),
    "POST /v2/tenants/{tenant_id}/webhooks": lambda _: _data("webhook", {"url": "https://hooks.example/"}),
    "PATCH /v2/tenants/{tenant_id}/webhooks/{webhook_id}": lambda _: _data("webhook", {"description": "New"}),
    "POST /v2/tenants/{tenant_id}/webhooks/{webhook_id}/replay": lambda _: {"since": "2026-01-01T00:00:00Z"},
    "POST /v2/contracts": lambda _: _data("contract", {"name": "New"}),
    "PATCH /v2/contracts/{contract_id}": lambda _: _data("contract", {"name": "New"}),
    "POST /v2/contracts/{contract_id}/members": lambda ids: _data(
        "contract-member", {"roles": ["member"]}, ids["stranger_id"]
    ),
    "PATCH /v2/contracts/{contract_id}/members/{user_id}": lambda _: _data("contract-member", {"roles": ["admin"]}),
    "POST /v2/contracts/{contract_id}/invites": lambda _: _data("contract-invite", _INVITE),
    "PATCH /v2/contracts/{contract_id}/invites/{invite_id}": lambda _: _data("contract-invite", {"roles": ["admin"]}),
    "POST /v2/workspaces": lambda ids: _data(
        "workspace", {"name": "New"}, contract=relationship("contract", ids["contract_id"])
    ),
    "PATCH /v2/workspaces/{workspace_id}": lambda _: _data("workspace", {"name": "New"}),
    "POST /v2/workspaces/{workspace_id}/members": lambda ids: _data("member", {"roles": ["guest"]}, ids["joiner_id"]),
    "PATCH /v2/workspaces/{workspace_id}/members/{user_id}": lambda _: _data("member", {"roles": ["admin"]}),
    "POST /v2/workspaces/{workspace_id}/connect-links": lambda ids: _data(
        "connect-link", component=relationship("component", ids["component_id"])
    ),
    "POST /v2/workspaces/{workspace_id}/mcp-servers": lambda _: _data("mcp-server", {"url": MCP_SERVER}),
    "POST /v2/workspaces/{workspace_id}/oauth-consents": _consent,
    "POST /v2/workspaces/{workspace_id}/secrets": _auth_secret,
    "PATCH /v2/workspaces/{workspace_id}/secrets/{secret_id}": lambda _: _data("auth-secret", {"name": "New"}),
    "POST /v2/workspaces/{workspace_id}/secrets/{secret_id}/dpop-proof": lambda _: _data(
        "dpop-proof", {"method": "GET", "url": "https://api.example.com/me"}
    ),
    "POST /v2/users/me/api-keys": lambda _: _data("api-key", {"name": "laptop"}),
    "POST /v2/users": lambda _: _data("user", _PERSON),
    "PATCH /v2/service-accounts/{service_account_id}": lambda _: _data("service-account", {"permissions": []}),
    "POST /v2/teams": lambda ids: _data("team", contract=relationship("contract", ids["contract_id"])),
    "PATCH /v2/teams/{team_id}": lambda _: _data("team", {"docker_registry": None}),
    "POST /v2/teams/{team_id}/relationships/members": lambda ids: {"data": {"type": "user", "id": ids["joiner_id"]}},
    "DELETE /v2/teams/{team_id}/relationships/members": lambda ids: {
        "data": {"type": "user", "id": ids["developer_id"]}
    },
    "POST /v2/components": lambda ids: _data("component", {"name": "new"}, team=relationship("team", ids["team_id"])),
    "PATCH /v2/components/{component_id}": lambda ids: _data(
        "component", {"access": "tenant", "whitelisted_contract_ids": [ids["contract_id"]]}
    ),
    "PUT /v2/components/{component_id}/env": lambda _: _data("component-env", {"vars": {"A": "b"}}),
    "POST /v2/components/{component_id}/versions": lambda _: _data("version", {"descriptor": {"title": "New"}}),
    "POST /v2/auth-clients": lambda ids: _auth_client(ids, "workspace"),
    "PATCH /v2/auth-clients/{auth_client_id}": lambda _: _data("auth-client", _AUTH_CLIENT),
    "POST /v2/credentials": _credential,
    "PATCH /v2/credentials/{credential_id}": lambda ids: _data("credential", {"name": "New"}, ids["credential_id"]),
    "POST /v2/flows": lambda ids: flow_body(ids["workspace_id"], graph=_graph(ids)),
    "PATCH /v2/flows/{flow_id}": lambda ids: _data("flow", {"graph": _graph(ids)}, ids["flow_id"]),
    "PUT /v2/flows/{flow_id}/draft": lambda ids: _data("flow-draft", {"graph": _graph(ids)}),
}
"""Bodies by method and path as the table spells it; a route that is not here takes none."""


def body(method: str, path: str, ids: Ids) -> Any:
    """Return the body of a request, or None."""
    made = BODIES.get(f"{method} {path.partition('?')[0]}")
    return None if made is None else made(ids)
