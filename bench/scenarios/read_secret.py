"""A running component reads a fresh auth secret: `GET /v2/workspaces/{W}/secrets/{S}` (contract section 15)."""

from collections.abc import Sequence

from bench.estates import bao, bare, keyrack, usual
from bench.scenario import Row, Scenario
from bench.side_by_side import read
from bench.stage import Stage

_CONNECTIONS = (32, 128)
_MORE_WORKERS = 2


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        servers = [keyrack(stage, database), keyrack(stage, database, _MORE_WORKERS)]
        if (peer := usual(stage, database)) is not None:
            servers.append(peer)
        reads = [(target, estate.secret) for target, estate in servers]
        if (vault := bao(stage)) is not None:
            reads.append(vault)
        with bare(stage, database, reads[0][1]) as plain:
            reads.append((plain, reads[0][1]))
            for connections in stage.plan.connections or _CONNECTIONS:
                of: Row = {"database": database, "connections": connections}
                rows += [{**of, **row} for row in read(stage, reads, connections)]
                stage.say(f"{database}, {connections} connections: {rows[-len(reads)]['requests/s']} requests/s")
    return rows


SCENARIO = Scenario("read-secret", "GET of a fresh auth secret (the hot read), beside its peers", run)
