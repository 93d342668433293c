"""Two real PostgreSQL servers, of which one follows the other (streaming replication)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.postgres import PostgresServer, postgres_package

SETTLED_SECONDS = 60.0
_REPLICATING = {"wal_level": "replica", "hot_standby": "on", "wal_receiver_status_interval": 1}


@dataclass
class Replicated:
    """A primary and its standby.

    Attributes:
        primary: takes writes.
        standby: follows it.
        synchronous: what is committed is on the standby's disk too.
    """

    primary: PostgresServer
    standby: PostgresServer
    synchronous: bool

    def url(self, database: str) -> str:
        """Return the address of a database on whichever of both takes writes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://postgres:{self.primary.password}@{hosts}/{database}?target_session_attrs=read-write"

    def cut(self) -> None:
        """Let the standby hear no more of the primary, as if the network between them were gone."""
        self.standby.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + SETTLED_SECONDS
        while self.standby.sql("SELECT count(*) FROM pg_stat_wal_receiver") != "0":
            assert time.monotonic() < deadline, "the standby still follows"
            time.sleep(0.02)

    def fail_over(self) -> None:
        """Lose the primary, and make the standby the primary, as a failover manager does."""
        self.primary.lose()
        self.standby.promote()


@contextmanager
def replicated(*, synchronous: bool) -> Iterator[Replicated]:
    """Run both until the block ends."""
    primary = PostgresServer(postgres_package(), durable=True, settings=_REPLICATING)
    try:
        standby = PostgresServer(postgres_package(), durable=True, settings=_REPLICATING, source=primary)
        try:
            if synchronous:
                primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
                primary.sql("SELECT pg_reload_conf()")
            wanted = "sync" if synchronous else "async"
            deadline = time.monotonic() + SETTLED_SECONDS
            while primary.sql("SELECT string_agg(sync_state, ',') FROM pg_stat_replication") != wanted:
                assert time.monotonic() < deadline, "the standby does not follow"
                time.sleep(0.05)
            yield Replicated(primary, standby, synchronous)
        finally:
            standby.close()
    finally:
        primary.close()
