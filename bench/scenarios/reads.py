"""Reads of a credential, an OAuth client, an auth client and a flow (contract sections 8, 14, 16, 17)."""

from collections.abc import Callable, Sequence

from bench.estates import Estate, bare, keyrack, usual
from bench.scenario import Row, Scenario
from bench.side_by_side import read
from bench.stage import Stage

_CONNECTIONS = (32,)
_READS: dict[str, Callable[[Estate], str]] = {
    "credential": lambda estate: estate.credential,
    "OAuth client": lambda estate: estate.oauth_client,
    "auth client": lambda estate: estate.auth_client,
    "flow": lambda estate: estate.flow,
}


def run(stage: Stage) -> Sequence[Row]:
    return [row for what, path in _READS.items() for row in measure(stage, what, path)]


def measure(stage: Stage, what: str, path: Callable[[Estate], str]) -> Sequence[Row]:
    """Measure one read at Keyrack, the usual build and the bare server, on PostgreSQL if that was not excluded."""
    rows: list[Row] = []
    database = stage.plan.database
    target, estate = keyrack(stage, database)
    with bare(stage, database, path(estate)) as plain:
        reads = [(target, path(estate)), (plain, path(estate))]
        if (peer := usual(stage, database)) is not None:
            reads.insert(1, (peer[0], path(peer[1])))
        for connections in stage.plan.connections or _CONNECTIONS:
            of: Row = {"read": what, "database": database, "connections": connections}
            rows += [{**of, **row} for row in read(stage, reads, connections)]
            stage.say(f"{what}, {database}, {connections} connections: {rows[-len(reads)]['requests/s']} requests/s")
    return rows


SCENARIO = Scenario("reads", "GET of a credential, an OAuth client, an auth client and a flow, beside its peers", run)
