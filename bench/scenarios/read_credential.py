"""A component reads a stored credential: `GET /v2/credentials/{id}` (contract section 16)."""

from collections.abc import Sequence

from bench.paired_read import measure
from bench.scenario import Row, Scenario
from bench.scenarios.component import create_component
from bench.stage import Caller, Stage

_KEYS = {
    "oauth": {
        "access_token": "a" * 320,
        "refresh_token": "r" * 120,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "orders.read orders.write",
        "instance_url": "https://eu1.provider.example",
        "undefined_params": {"instance_url": "https://eu1.provider.example"},
    }
}
"""Of the size that real providers' tokens have."""


def run(stage: Stage) -> Sequence[Row]:
    return measure(stage, _prepare)


def _prepare(caller: Caller) -> str:
    component = create_component(caller, "read-credential")
    attributes = {"name": "Measured", "keys": _KEYS}
    made = caller.create(
        "/v2/credentials", "credential", attributes, component=component, workspace=caller.ids["workspace_id"]
    )
    return f"/v2/credentials/{made}"


SCENARIO = Scenario("read-credential", "GET /v2/credentials/{id}, by a workspace owner", run)
