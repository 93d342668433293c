"""Gives examples of request bodies, as the page at /docs shows them; a test sends each of them.

Words in capitals that end in `_ID` stand for ids of what exists.
"""

from collections.abc import Mapping
from typing import Any

from keyrack.service.authz.permissions import DEFAULT_ROLES

Json = dict[str, Any]


def _data(resource_type: str, attributes: Json | None = None, *, id: str | None = None, **related: Any) -> Json:  # noqa: A002 - the member's name
    """Return a document with one resource; `related` are linkages by the names of relationships."""
    data: Json = {"type": resource_type}
    if id is not None:
        data["id"] = id
    if attributes is not None:
        data["attributes"] = attributes
    if related:
        data["relationships"] = {name: {"data": linkage} for name, linkage in related.items()}
    return {"data": data}


def _to(resource_type: str) -> Json:
    """Return a linkage to a resource of a type."""
    return {"id": f"{resource_type.upper().replace('-', '_')}_ID", "type": resource_type}


def _roles(resource_type: str, *roles: str, id: str | None = None) -> Json:  # noqa: A002 - the member's name
    return _data(resource_type, {"roles": list(roles)}, id=id)


DESCRIPTOR: Json = {
    "title": "Pizza Van",
    "useOAuthClient": True,
    "envVars": {"PIZZAVAN_KEY": {"required": True}, "PIZZAVAN_SECRET": {"required": True}},
    "credentials": {
        "fields": {"oauth": {"label": "Account", "viewClass": "OAuthFieldView", "required": True}},
        "oauth2": {
            "client_id": "{{PIZZAVAN_KEY}}",
            "client_secret": "{{PIZZAVAN_SECRET}}",
            "auth_uri": "https://pizzavan.example/authorize",
            "token_uri": "https://pizzavan.example/token",
            "scopes": ["orders"],
        },
    },
    "actions": {"placeOrder": {"title": "Place an order", "main": "./order.js"}},
}
SECOND_GENERATION: Json = {
    "title": "Calendar",
    "authClientTypes": ["oauth2"],
    "credentials": {
        "fields": {"oauth": {"label": "Account", "viewClass": "OAuthFieldView", "required": True}},
        "oauth2": {"scopes": ["events"]},
    },
    "actions": {"addEvent": {"title": "Add an event", "main": "./add-event.js"}},
}

_STEP: Json = {"id": "step_1", "command": "main/pizza-van:placeOrder", "name": "Order", "fields": {"size": "large"}}
_WITH_CREDENTIAL: Json = {"nodes": [{**_STEP, "credentials_id": "CREDENTIAL_ID"}], "edges": []}
_WITH_SECRET: Json = {
    "nodes": [{"id": "step_1", "command": "main/calendar:addEvent", "secret_id": "SECRET_ID"}],
    "edges": [],
}
_FLOW: Json = {"name": "Friday pizza", "type": "ordinary", "default_mapper_type": "jsonata"}
_TOKENS: Json = {"access_token": "the access token", "refresh_token": "the refresh token"}
_CLIENT: Json = {"client_id": "as the provider shows it", "client_secret": "as the provider shows it"}
_PROVIDER: Json = {"auth_uri": "https://calendar.example/authorize", "token_uri": "https://calendar.example/token"}
_AUTH_CLIENT: Json = {"name": "Acme at the calendar", "type": "oauth2", "credentials": {**_CLIENT, **_PROVIDER}}
_API_KEY: Json = {"name": "Keys of the warehouse", "type": "api_key", "credentials": {}}
_KEEPER: Json = {
    "role": "keeper",
    "scope": "workspaces",
    "permissions": ["workspaces.credential.edit"],
    "i18n": {"en": "Keeper of credentials"},
}
_POLICY: Json = {
    "roles": [
        *(
            {"role": role.role, "scope": role.scope, "permissions": sorted(role.permissions), "i18n": dict(role.i18n)}
            for role in DEFAULT_ROLES
        ),
        _KEEPER,
    ]
}
_NEW_AUTH_CLIENT: Json = {
    "of the tenant, OAuth 2.0": _data("auth-client", _AUTH_CLIENT, tenant=_to("tenant"), components=[_to("component")]),
    "of the tenant, API key": _data("auth-client", _API_KEY, tenant=_to("tenant"), components=[_to("component")]),
}
_CHANGED_AUTH_CLIENT: Json = {
    "its name": _data("auth-client", {"name": "Acme at the calendar, Europe"}),
    "its secret": _data("auth-client", {"credentials": {"client_secret": "the new one"}}),
    "what it is for": _data("auth-client", components=[_to("component")]),
}
_NEW_SECRET = {
    "a secret that the provider has just shown": _data(
        "client-secret-rotation", {"client_secret": "the new one", "secret_expires_at": "2027-06-30T00:00:00Z"}
    ),
}
_MOVED_ROTATION = {
    "use the new secret now": _data("client-secret-rotation", {"state": "promoted"}),
    "use the old one again": _data("client-secret-rotation", {"state": "rolled_back"}),
    "try the new one again": _data("client-secret-rotation", {"state": "trying"}),
}

EXAMPLES: Mapping[str, Json] = {
    "POST /v2/tenants/{tenant_id}/oauth-clients": {
        "the pair from the provider": _data("oauth-client", _CLIENT, component=_to("component")),
        "with its way to authenticate": _data(
            "oauth-client", {**_CLIENT, "client_auth": "basic"}, component=_to("component")
        ),
    },
    "PATCH /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}": {
        "a new secret, and when it ends": _data(
            "oauth-client",
            {**_CLIENT, "client_secret": "the new one", "secret_expires_at": "2098-12-31T00:00:00Z"},
            component=_to("component"),
        ),
        "a new secret; all members are required": _data(
            "oauth-client", {**_CLIENT, "client_secret": "the new one"}, component=_to("component")
        ),
    },
    "POST /v2/workspaces/{workspace_id}/oauth-consents": {
        "for a component, which makes a credential": _data(
            "oauth-consent", {"name": "Ida at the pizza van"}, component=_to("component")
        ),
        "to pass on to somebody else": _data(
            "oauth-consent", {"name": "The shop's account", "bound": True}, component=_to("component")
        ),
        "the same credential anew": _data("oauth-consent", component=_to("component"), credential=_to("credential")),
        "with an auth client, which makes an auth secret": _data(
            "oauth-consent", {"name": "My calendar", "scopes": ["events"]}, auth_client=_to("auth-client")
        ),
    },
    "POST /v2/workspaces/{workspace_id}/mcp-servers": {
        "by its address alone": _data("mcp-server", {"url": "https://mcp.example.com/mcp"}),
    },
    "POST /v2/workspaces/{workspace_id}/connect-links": {
        "for a component": _data("connect-link", {"name": "The shop's account"}, component=_to("component")),
        "with an auth client, opened in a popup of your page": _data(
            "connect-link",
            {"name": "Ida's calendar", "expires_in": 900, "opener_origin": "https://app.globex.example"},
            auth_client=_to("auth-client"),
        ),
        "the same credential anew": _data("connect-link", component=_to("component"), credential=_to("credential")),
    },
    "POST /v2/workspaces/{workspace_id}/secrets/{secret_id}/dpop-proof": {
        "a request with a bound token": _data("dpop-proof", {"method": "GET", "url": "https://api.globex.example/me"}),
        "with the nonce of its server": _data(
            "dpop-proof", {"method": "POST", "url": "https://api.globex.example/orders", "nonce": "eyJ7S_zG"}
        ),
    },
    "POST /v2/credentials": {
        "with tokens": _data(
            "credential",
            {"name": "Ida at the pizza van", "keys": {"oauth": _TOKENS}},
            component=_to("component"),
            workspace=_to("workspace"),
        ),
    },
    "PATCH /v2/credentials/{credential_id}": {
        "its name": _data("credential", {"name": "The shop's account"}, id="CREDENTIAL_ID"),
        "its values, all of them": _data("credential", {"keys": {"oauth": _TOKENS}}, id="CREDENTIAL_ID"),
    },
    "PATCH /v2/service-accounts/{service_account_id}": {
        "what it may do, all of it": _data("service-account", {"permissions": ["tenants.oauth_clients.get"]}),
    },
    "POST /v2/auth-clients/{auth_client_id}/secret-rotation": _NEW_SECRET,
    "PATCH /v2/auth-clients/{auth_client_id}/secret-rotation": _MOVED_ROTATION,
    "POST /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/secret-rotation": _NEW_SECRET,
    "PATCH /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/secret-rotation": _MOVED_ROTATION,
    "POST /v2/auth-clients": _NEW_AUTH_CLIENT,
    "PATCH /v2/auth-clients/{auth_client_id}": _CHANGED_AUTH_CLIENT,
    "POST /v2/tenants/{tenant_id}/auth-clients": _NEW_AUTH_CLIENT,
    "PATCH /v2/tenants/{tenant_id}/auth-clients/{auth_client_id}": _CHANGED_AUTH_CLIENT,
    "POST /v2/workspaces/{workspace_id}/secrets": {
        "with tokens": _data(
            "auth-secret",
            {"name": "My calendar", "credentials": {**_TOKENS, "expires_in": 3600}},
            auth_client=_to("auth-client"),
        ),
    },
    "PATCH /v2/workspaces/{workspace_id}/secrets/{secret_id}": {
        "its name": _data("auth-secret", {"name": "Our calendar"}),
        "new tokens": _data("auth-secret", {"credentials": {**_TOKENS, "expires_in": 3600}}),
    },
    "POST /v2/components": {"in a team": _data("component", {"name": "pizza-van-two"}, team=_to("team"))},
    "PATCH /v2/components/{component_id}": {
        "shared with the tenant": _data("component", {"access": "tenant"}, id="COMPONENT_ID"),
        "listed for a contract": _data("component", {"whitelisted_contract_ids": ["CONTRACT_ID"]}, id="COMPONENT_ID"),
    },
    "POST /v2/components/{component_id}/versions": {
        "first generation, with OAuth clients": _data("version", {"descriptor": DESCRIPTOR}),
        "second generation, with auth clients": _data("version", {"descriptor": SECOND_GENERATION}),
    },
    "PUT /v2/components/{component_id}/env": {
        "all variables": _data(
            "component-env", {"vars": {"PIZZAVAN_KEY": "acme-app", "PIZZAVAN_SECRET": "acme-secret"}}
        ),
    },
    "POST /v2/flows": {
        "with a credential": _data("flow", {**_FLOW, "graph": _WITH_CREDENTIAL}, workspace=_to("workspace")),
        "with an auth secret": _data("flow", {**_FLOW, "graph": _WITH_SECRET}, workspace=_to("workspace")),
    },
    "PATCH /v2/flows/{flow_id}": {
        "its name": _data("flow", {"name": "Saturday pizza"}, id="FLOW_ID"),
        "its graph": _data("flow", {"graph": _WITH_CREDENTIAL}, id="FLOW_ID"),
    },
    "PUT /v2/flows/{flow_id}/draft": {"not complete yet": _data("flow-draft", {"graph": {"nodes": [_STEP]}})},
    "PUT /v1/accounts/{credential_id}": {"what updateKeys brings": {"keys": {"oauth": _TOKENS}}},
    "POST /v2/tenants": {
        "with what is required": _data(
            "tenant",
            {
                "name": "Initech",
                "app_domain": "app.initech.example",
                "code": "",
                "mandrill_email_from": "it@initech.example",
            },
        ),
    },
    "PATCH /v2/tenants/{tenant_id}": {"its name": _data("tenant", {"name": "Initech Inc."})},
    "PATCH /v2/tenants/{tenant_id}/connect-theme": {
        "name and colour, and where the browser may go back to": _data(
            "connect-theme",
            {"display_name": "Initech", "accent_color": "#0a7d4f", "return_origins": ["https://app.initech.example"]},
        ),
        "our name on none of its pages": _data("connect-theme", {"show_keyrack": False}),
        "without the logo": _data("connect-theme", {"logo_data": None}),
    },
    "PATCH /v2/tenants/{tenant_id}/roles": {"the roles of a new tenant, and one more": _data("tenant-policy", _POLICY)},
    "PATCH /v2/tenants/{tenant_id}/members/{user_id}": {"an admin": _roles("tenant-member", "tenant-admin")},
    "POST /v2/contracts": {"with a name": _data("contract", {"name": "Integrations"})},
    "PATCH /v2/contracts/{contract_id}": {
        "its name": _data("contract", {"name": "Integrations and returns"}),
        "its own data": _data("contract", {"custom_data": {"customer": 4711}}),
    },
    "POST /v2/contracts/{contract_id}/members": {"a member": _roles("contract-member", "member", id="USER_ID")},
    "PATCH /v2/contracts/{contract_id}/members/{user_id}": {"its roles": _roles("contract-member", "admin")},
    "POST /v2/contracts/{contract_id}/invites": {
        "into the contract": _data("contract-invite", {"email": "nia@initech.example", "roles": ["member"]}),
        "into a workspace too": _data(
            "contract-invite",
            {
                "email": "kim@initech.example",
                "roles": ["member"],
                "workspace_id": "WORKSPACE_ID",
                "workspace_roles": ["integrator"],
            },
        ),
    },
    "PATCH /v2/contracts/{contract_id}/invites/{invite_id}": {
        "what it offers": _roles("contract-invite", "admin"),
    },
    "POST /v2/workspaces": {"in a contract": _data("workspace", {"name": "Orders"}, contract=_to("contract"))},
    "PATCH /v2/workspaces/{workspace_id}": {"its name": _data("workspace", {"name": "Orders and returns"})},
    "POST /v2/workspaces/{workspace_id}/members": {"an integrator": _roles("member", "integrator", id="USER_ID")},
    "PATCH /v2/workspaces/{workspace_id}/members/{user_id}": {"its roles": _roles("member", "guest")},
    "POST /v2/teams": {"in a contract": _data("team", {"name": "kitchen"}, contract=_to("contract"))},
    "PATCH /v2/teams/{team_id}": {
        "its registry": _data("team", {"docker_registry": {"username": "kitchen", "password": "of the registry"}}),
        "no registry": _data("team", {"docker_registry": None}),
    },
    "POST /v2/teams/{team_id}/relationships/members": {"a user": {"data": _to("user")}},
    "DELETE /v2/teams/{team_id}/relationships/members": {"a user": {"data": _to("user")}},
    "POST /v2/users": {
        "with a password": _data(
            "user",
            {
                "first_name": "Nia",
                "last_name": "New",
                "email": "nia@initech.example",
                "password": "correct h0rse battery",
            },
        ),
    },
    "POST /v2/users/me/api-keys": {
        "without end": _data("api-key", {"name": "laptop"}),
        "with an end": _data("api-key", {"name": "a visit", "expires_at": "2099-12-31T23:59:59Z"}),
    },
    "POST /v2/tenants/{tenant_id}/webhooks": {
        "every event": _data("webhook", {"url": "https://receiver.example/keyrack"}),
        "some events": _data(
            "webhook",
            {
                "url": "https://receiver.example/ends",
                "description": "What somebody has to do something about",
                "event_types": ["secret.reauthorization_required", "client.failing"],
            },
        ),
    },
    "PATCH /v2/tenants/{tenant_id}/webhooks/{webhook_id}": {
        "other events": _data("webhook", {"event_types": ["secret.revoked"]}),
    },
    "POST /v2/tenants/{tenant_id}/webhooks/{webhook_id}/replay": {
        "all since a time": {"since": "2026-01-01T00:00:00Z"},
        "between two times": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
    },
}
"""For each operation, by method and path as the description spells it: bodies by what they are examples of."""
