"""Clients whose secret ends soon, of all tenants: to tell it, and to count them for metrics."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Table, and_, bindparam, case, func, literal, or_, select

from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantQuery, Unit, changing
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.schema import auth_clients, oauth_clients

BATCH = 100
"""Clients of a tenant that are taken on at once, of each table."""
MOST = 10_000
"""How far is counted."""
_BEHIND_ALL_IDS = "z"
DAYS = (0, 1, 7, 14, 30)
"""Within how many days a secret ends, as it is counted; 0: it has ended."""

_TABLES: Mapping[Table, type[OAuthClientRows | AuthClientRows]] = {
    oauth_clients: OAuthClientRows,
    auth_clients: AuthClientRows,
}


def _due(table: Table) -> TenantQuery:
    where = {name: table.c.get(name, literal(None)) for name in ("component_id", "contract_id", "workspace_id")}
    columns = [column.label(name) for name, column in where.items()]
    query = select(table.c.id, table.c.secret_expires_at, *columns).where(table.c.reminder_at <= bindparam("now"))
    return TenantQuery(table, changing(query.order_by(table.c.reminder_at, table.c.id).limit(BATCH)), scans=True)


def _whose(table: Table) -> Query:
    is_due = table.c.reminder_at <= bindparam("now")
    return Query(select(table.c.tenant_id).where(is_due).distinct(), scans=True)


def _ending(table: Table) -> Query:
    ends = table.c.secret_expires_at
    last = bindparam(f"within_{DAYS[-1]}", type_=ends.type)
    soon = select(ends).where(ends.is_not(None), ends <= last).order_by(ends).limit(MOST).subquery()
    counted = [
        func.count(case((soon.c[0] <= bindparam(f"within_{days}", type_=ends.type), 1))).label(f"within_{days}")
        for days in DAYS
    ]
    return Query(select(*counted).select_from(soon), scans=True)


_ENDS = auth_clients.c.secret_expires_at
_SOON = Query(
    select(auth_clients.c.tenant_id, auth_clients.c.id, _ENDS)
    .where(bindparam("until", type_=_ENDS.type) >= _ENDS)
    .where(
        or_(
            bindparam("after", type_=_ENDS.type) < _ENDS,
            and_(bindparam("after", type_=_ENDS.type) == _ENDS, auth_clients.c.id > bindparam("last")),
        )
    )
    .order_by(_ENDS, auth_clients.c.id)
    .limit(bindparam("page")),
    scans=True,
)
_DUE = {table: _due(table) for table in _TABLES}
_ENDING = {table: _ending(table) for table in _TABLES}
_WHOSE = {table: _whose(table) for table in _TABLES}


@dataclass(frozen=True, slots=True)
class ExpiringClient:
    """A client whose secret ends soon, without its values.

    Attributes:
        rows: the class of the store that it is read with.
        id: its id.
        secret_expires_at: when its secret ends.
        component_id: of an OAuth client, the component that it is for.
        contract_id, workspace_id: of an auth client, its scope below the tenant, if it has one.
    """

    rows: type[OAuthClientRows | AuthClientRows]
    id: str
    secret_expires_at: datetime
    component_id: str | None
    contract_id: str | None
    workspace_id: str | None

    @property
    def is_oauth_client(self) -> bool:
        """Tell whether it is an OAuth client (contract section 8), and no auth client (section 14)."""
        return self.rows is OAuthClientRows


class ExpiringClients:
    """Those of the unit's tenant; global ones in the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def due(self) -> Sequence[ExpiringClient]:
        """Return clients the end of whose secret is to be told now, at most `BATCH` of each table.

        Others who want to tell it, or to change the clients, wait until the transaction ends.
        """
        bound, found = {"now": self._unit.clock(), "tenant_id": self._unit.tenant_id}, list[ExpiringClient]()
        for table, rows in _TABLES.items():
            for row in await _DUE[table].rows(self._unit.connection, **bound):
                place = (row.component_id, row.contract_id, row.workspace_id)
                found.append(ExpiringClient(rows, row.id, row.secret_expires_at, *place))
        return found

    async def remind_at(self, client: ExpiringClient, moment: datetime | None) -> None:
        """Note when the end of a client's secret is told next; None: never again."""
        await client.rows(self._unit).set_columns(client.id, {"reminder_at": moment})


class EndingSecrets:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def whose(self) -> Sequence[str]:
        """Return the ids of tenants with a client the end of whose secret is to be told now; empty for global ones."""
        now = self._unit.clock()
        found = {row.tenant_id for query in _WHOSE.values() for row in await query.rows(self._unit.connection, now=now)}
        return sorted(found)

    async def auth_clients(self, within: timedelta, page: int = MOST) -> AsyncIterator[tuple[str, str]]:
        """Yield the ids of the tenant and of the client itself, of all auth clients whose secret ends within a time.

        Args:
            within: the time, from now.
            page: how many are asked for at once.
        """
        now = self._unit.clock()
        after, last = now, _BEHIND_ALL_IDS
        while True:
            rows = await _SOON.rows(self._unit.connection, until=now + within, after=after, last=last, page=page)
            for row in rows:
                yield row.tenant_id, row.id
            if len(rows) < page:
                return
            after, last = rows[-1].secret_expires_at, rows[-1].id

    async def count(self) -> Mapping[int, int]:
        """Count the secrets that end within each of `DAYS`, up to `MOST` of each table; each has those before it."""
        now = self._unit.clock()
        within = {f"within_{days}": now + timedelta(days=days) for days in DAYS}
        rows = [(await _ENDING[table].rows(self._unit.connection, **within))[0] for table in _TABLES]
        return {days: sum(row[index] for row in rows) for index, days in enumerate(DAYS)}
