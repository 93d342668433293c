"""A tenant admin reads an OAuth client: `GET /v2/tenants/{T}/oauth-clients/{id}` (contract section 8.3)."""

from collections.abc import Sequence

from bench.paired_read import measure
from bench.scenario import Row, Scenario
from bench.scenarios.component import create_component
from bench.stage import Caller, Stage


def run(stage: Stage) -> Sequence[Row]:
    return measure(stage, _prepare)


def _prepare(caller: Caller) -> str:
    path = f"/v2/tenants/{caller.ids['tenant_id']}/oauth-clients"
    attributes = {"client_id": "c" * 72, "client_secret": "s" * 40}
    made = caller.create(path, "oauth-client", attributes, component=create_component(caller, "read-oauth-client"))
    return f"{path}/{made}"


SCENARIO = Scenario("read-oauth-client", "GET /v2/tenants/{T}/oauth-clients/{id}, by a tenant admin", run)
