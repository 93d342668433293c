"""A running component reads a fresh auth secret: `GET /v2/workspaces/{W}/secrets/{S}` (contract section 15)."""

from collections.abc import Sequence

from bench.paired_read import measure
from bench.scenario import Row, Scenario
from bench.scenarios.component import create_component
from bench.stage import Caller, Stage

_CLIENT = {
    "client_id": "c" * 72,
    "client_secret": "s" * 40,
    "auth_uri": "https://provider.example/authorize",
    "token_uri": "https://provider.example/token",
    "refresh_token_uri": "https://provider.example/token",
}
_TOKENS = {
    "access_token": "a" * 320,
    "refresh_token": "r" * 120,
    "expires_in": 86_400,
    "scope": "orders.read orders.write",
    "undefined_params": {"instance_url": "https://eu1.provider.example"},
}
"""Of the size that real providers' tokens have, and fresh as long as the benchmark runs."""
_WORKERS = (1, 2)


def run(stage: Stage) -> Sequence[Row]:
    return [{"workers": workers, **row} for workers in _WORKERS for row in measure(stage, _prepare, workers=workers)]


def _prepare(caller: Caller) -> str:
    component = create_component(caller, "read-secret")
    client = caller.create(
        "/v2/auth-clients",
        "auth-client",
        {"name": "Measured", "type": "oauth2", "credentials": _CLIENT},
        workspace=caller.ids["workspace_id"],
        components=[component],
    )
    secrets = f"/v2/workspaces/{caller.ids['workspace_id']}/secrets"
    made = caller.create(secrets, "auth-secret", {"name": "Measured", "credentials": _TOKENS}, auth_client=client)
    return f"{secrets}/{made}"


SCENARIO = Scenario("read-secret", "GET /v2/workspaces/{W}/secrets/{S}, fresh, by a workspace owner", run)
