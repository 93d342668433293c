"""A component for scenarios that need one."""

from bench.stage import Caller

_DESCRIPTOR = {
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


def create_component(caller: Caller, name: str) -> str:
    """Create a component with one build and return its id."""
    component = caller.create("/v2/components", "component", {"name": name}, team=caller.ids["team_id"])
    caller.create(f"/v2/components/{component}/versions", "version", {"descriptor": _DESCRIPTOR})
    return component
