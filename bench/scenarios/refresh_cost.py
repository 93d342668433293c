"""What a refresh costs: processor time of worker and database, transactions, write-ahead log, and room of a grant."""

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.scenario import Row, Scenario
from bench.scenarios.worker_refreshes import provider, until_refreshed
from bench.secrets_stored import add_client, add_due, multiply, opened, set_up
from bench.stage import POSTGRESQL, Stage
from bench.tenants_stored import add_tenant
from support.postgres import PostgresServer
from support.process import guarded

_SECRETS = 1_600
_TENANTS = 8
_STORED = 100_000
_TICKS = os.sysconf("SC_CLK_TCK")


def run(stage: Stage) -> Sequence[Row]:
    with provider(0) as url:
        measured = [_once(stage, url, n) for n in range(min(stage.plan.runs, 3))]
    names = list(measured[0])
    return [{name: round(statistics.median(one[name] for one in measured), 2) for name in names}]


def _once(stage: Stage, url: str, number: int) -> Mapping[str, float]:
    stored = set_up(stage, POSTGRESQL, f"cost-{number}", worker_concurrency="64", provider_concurrency="64")
    server, name = stage.postgres, stored.environment["KEYRACK_DATABASE_URL"].rpartition("/")[2]
    with opened(stored) as (runner, store):
        for n in range(_TENANTS):
            tenant = stored if n == 0 else runner.run(add_tenant(store, stored, f"other-{n}"))
            client = runner.run(add_client(store, tenant, url))
            runner.run(add_due(store, tenant, client, _SECRETS // _TENANTS))
        server.sql("CHECKPOINT")
        log, commits, busy = server.sql("SELECT pg_current_wal_lsn()"), _commits(server, name), _busy(server.pid)
        with guarded([sys.executable, "-m", "keyrack", "worker"], stored.environment) as worker:
            runner.run(until_refreshed(store, _SECRETS))
            worked = _seconds(worker.ready["pid"])
            busy = _busy(server.pid) - busy
        written = float(server.sql(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{log}')"))
        commits = _commits(server, name) - commits
        runner.run(multiply(store, stored, _STORED))
        room = float(server.sql("SELECT pg_total_relation_size('auth_secrets')", name))
    return {
        "refreshes": _SECRETS,
        "worker ms": worked * 1000 / _SECRETS,
        "database ms": busy * 1000 / _SECRETS,
        "commits": commits / _SECRETS,
        "log bytes": written / _SECRETS,
        "bytes a grant": room / (_STORED + _SECRETS),
    }


def _commits(server: PostgresServer, database: str) -> float:
    server.sql("SELECT pg_stat_force_next_flush()", database)
    return float(server.sql(f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'"))


def _seconds(pid: int) -> float:
    """Return the processor time of a process, those of its children that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _busy(pid: int) -> float:
    """Return the processor time of a server and its processes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _seconds(pid) + sum(_seconds(int(child)) for child in children)


SCENARIO = Scenario("refresh-cost", "what one refresh costs a worker and PostgreSQL, and the room of a grant", run)
