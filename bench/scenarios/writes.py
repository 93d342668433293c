"""A tenant admin creates, replaces and deletes OAuth clients (contract section 8), each with its audit event."""

import json
from collections.abc import Mapping, Sequence

from bench import contents
from bench.estates import Estate, add_spare_components, keyrack, usual
from bench.load import Step
from bench.scenario import Row, Scenario
from bench.side_by_side import Writing, write
from bench.stage import Stage

_CONNECTIONS = (32,)


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    database = stage.plan.database
    # Enough for about a run's time of the slowest step.
    count = max(1, min(contents.SPARE_COMPONENTS, round(contents.SPARE_COMPONENTS * stage.plan.seconds)))
    target, estate = keyrack(stage, database)
    components = add_spare_components(stage.installation(database), count)
    writings = [Writing(target, _steps(estate), components)]
    if (peer := usual(stage, database)) is not None:
        writings.append(Writing(peer[0], _steps(peer[1]), peer[1].spare_components[:count]))
    for connections in stage.plan.connections or _CONNECTIONS:
        of: Row = {"database": database, "connections": connections}
        for step, measured in write(stage, writings, connections).items():
            rows += [{"write": step, **of, **row} for row in measured]
            stage.say(f"{step}, {database}, {connections} connections: {measured[0]['requests/s']} requests/s")
    return rows


def _steps(estate: Estate) -> Mapping[str, Step]:
    one = estate.oauth_clients + "/{id}"
    return {
        "create": Step("POST", estate.oauth_clients, _body(contents.PAIR), 201),
        "patch": Step("PATCH", one, _body(contents.OTHER_PAIR), 200),
        "delete": Step("DELETE", one, "", 204),
    }


def _body(pair: Mapping[str, str]) -> str:
    component = {"component": {"data": {"type": "component", "id": "{item}"}}}
    return json.dumps({"data": {"type": "oauth-client", "attributes": pair, "relationships": component}})


SCENARIO = Scenario("writes", "create, PATCH and DELETE of OAuth clients, beside the usual build", run)
