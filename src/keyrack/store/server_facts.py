"""Asks the database server who it is, what time it has, and how many connections it has left."""

from dataclasses import dataclass

from sqlalchemy import Integer, cast, func, literal_column, select

from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.lease_clock import LEASE_NOW

_POSTGRESQL = Query(
    select(
        func.current_setting(literal_column("'server_version'")).label("version"),
        func.pg_is_in_recovery().label("standby"),
        LEASE_NOW.label("now_ms"),
        cast(func.current_setting(literal_column("'max_connections'")), Integer).label("most"),
        select(func.count()).select_from(func.pg_stat_get_activity(literal_column("NULL"))).scalar_subquery()
        .label("used"),
    )
)  # fmt: skip
_SQLITE = Query(select(func.sqlite_version().label("version")))


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a database server says of itself.

    Attributes:
        name: PostgreSQL or SQLite.
        version: as it writes it.
        standby: it only reads.
        now_ms: its time, milliseconds since 1970; None where it has no clock of its own.
        connections_left: how many more it takes, of all its users; None where it has no such limit.
    """

    name: str
    version: str
    standby: bool = False
    now_ms: int | None = None
    connections_left: int | None = None


async def server_facts(unit: Unit) -> ServerFacts:
    """Ask the server; made from the unit of the installation."""
    if unit.connection.dialect.name != "postgresql":
        (row,) = await _SQLITE.rows(unit.connection)
        return ServerFacts("SQLite", row.version)
    (row,) = await _POSTGRESQL.rows(unit.connection)
    left = max(0, row.most - row.used)
    return ServerFacts("PostgreSQL", row.version, row.standby, row.now_ms, left)
