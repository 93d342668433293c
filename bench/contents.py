"""What is stored at every server that is measured; tokens are of the size that real providers' tokens have."""

from typing import Any

SECRETS = 50
"""So many are in the workspace; the first is the one that is read."""
SPARE_COMPONENTS = 200
"""So many at most have no OAuth client, so that one can be created for each."""

PAIR = {"client_id": "c" * 72, "client_secret": "s" * 40}
OTHER_PAIR = {"client_id": "d" * 72, "client_secret": "t" * 40}
AUTH_CLIENT = {
    **PAIR,
    "auth_uri": "https://provider.example/authorize",
    "token_uri": "https://provider.example/token",
    "refresh_token_uri": "https://provider.example/token",
}
SECRET: dict[str, Any] = {
    "access_token": "a" * 320,
    "refresh_token": "r" * 120,
    "expires_in": 86_400,
    "scope": "orders.read orders.write",
    "undefined_params": {"instance_url": "https://eu1.provider.example"},
}
"""Fresh as long as the benchmark runs."""
KEYS = {
    "oauth": {
        **SECRET,
        "token_type": "Bearer",
        "instance_url": "https://eu1.provider.example",
    }
}
DESCRIPTOR = {
    "title": "Measured",
    "useOAuthClient": True,
    "credentials": {
        "fields": {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"}},
        "oauth2": {
            "client_id": "{{APP_KEY}}",
            "client_secret": "{{APP_SECRET}}",
            "auth_uri": "https://provider.example/authorize",
            "token_uri": "https://provider.example/token",
        },
    },
    "actions": {"run": {"title": "Run", "main": "./run.js"}},
}


def graph(command: str, component_id: str | None = None) -> dict[str, Any]:
    """Return a flow's graph: two steps of a component, which a server names by itself or is told."""
    known = {} if component_id is None else {"component_id": component_id}
    node = {"command": command, "name": "", "description": "", "fields": {"text": "x" * 200}, **known}
    nodes = [{"id": "step_1", **node}, {"id": "step_2", **node}]
    return {"nodes": nodes, "edges": [{"source": "step_1", "target": "step_2"}]}
