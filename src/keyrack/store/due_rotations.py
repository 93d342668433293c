"""Rotations of clients' secrets that a worker has to look at, of all tenants, and connections to try a secret on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Integer, Table, bindparam, select, update

from keyrack.model.rotations import RotatedClient
from keyrack.model.secrets import SecretState
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_clients, auth_secrets, data_keys, oauth_clients

_TABLES: Mapping[str, Table] = {"auth-client": auth_clients, "oauth-client": oauth_clients}
_s = auth_secrets.c


def _due(table: Table) -> Query:
    at = table.c.rotation_due_at
    most = bindparam("most", type_=Integer)
    return Query(
        select(table.c.tenant_id, table.c.id, at).where(at <= bindparam("now", type_=at.type)).order_by(at).limit(most)
    )


def _claim(table: Table) -> Change:
    at = table.c.rotation_due_at
    unclaimed = (table.c.id == bindparam("id"), at == bindparam("seen", type_=at.type))
    return Change(update(table).where(*unclaimed).values(rotation_due_at=bindparam("until", type_=at.type)))


_DUE = {kind: _due(table) for kind, table in _TABLES.items()}
_CLAIM = {kind: _claim(table) for kind, table in _TABLES.items()}
_SAMPLE = Query(
    select(_s.tenant_id, _s.id)
    .where(
        _s.auth_client_id == bindparam("client"),
        _s.refreshable,
        _s.state == SecretState.ready.value,
        _s.ambiguous_since.is_(None),
        _s.cutover_batch_id.is_(None),
        _s.tenant_id.in_(select(data_keys.c.tenant_id)),  # else the tenant was shredded
        _s.id.not_in(bindparam("tried", expanding=True)),
    )
    .order_by(_s.due_at.is_(None), _s.due_at, _s.id)
    .limit(1),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class SampledSecret:
    """A connection that a new secret can be tried on, and whose it is."""

    tenant_id: str
    secret_id: str


class DueRotations:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def claim(self, most: int, lease: timedelta) -> Sequence[RotatedClient]:
        """Take on rotations that are due, the longest due first; nobody else does within the lease.

        Args:
            most: how many of each type of client.
            lease: for how long.
        """
        now, found = self._unit.clock(), list[RotatedClient]()
        for kind, query in _DUE.items():
            for row in await query.rows(self._unit.connection, now=now, most=most):
                claimed = {"id": row.id, "seen": row.rotation_due_at, "until": now + lease}
                if await _CLAIM[kind].run(self._unit.connection, **claimed):
                    found.append(RotatedClient(kind, row.tenant_id, row.id))
        return found

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        now = self._unit.clock()
        return any([await query.rows(self._unit.connection, now=now, most=1) for query in _DUE.values()])

    async def next_to_try(self, client_id: str, tried: Sequence[str]) -> SampledSecret | None:
        """Return a connection of a client that works and can be refreshed, that which is due first.

        Args:
            client_id: the auth client; of a global one, the connection may be any tenant's.
            tried: ids of connections that are passed over.
        """
        rows = await _SAMPLE.rows(self._unit.connection, client=client_id, tried=list(tried) or [""])
        return next((SampledSecret(row.tenant_id, row.id) for row in rows), None)
