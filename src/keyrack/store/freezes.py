"""What is frozen: whose grants nobody may read (decision 47). Looks across tenants; made from any unit."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from keyrack.errors import AlreadyExists
from keyrack.ids import new_id
from keyrack.model.containment import Freeze, FreezeKind
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit, insert_row
from keyrack.store.schema import auth_clients, freezes, oauth_clients

_f = freezes.c
_ACTIVE = Query(select(*_f).where(_f.lifted_at.is_(None)).order_by(_f.id))
_ALL = Query(select(*_f).order_by(_f.id.desc()).limit(200))
_BY_ID = Query(select(*_f).where(_f.id == bindparam("id")))
_HOLDING = Query(
    select(*_f).where(_f.kind == bindparam("kind"), _f.target == bindparam("target"), _f.lifted_at.is_(None))
)
_LIFTING = Change(
    update(freezes)
    .where(_f.id == bindparam("id"), _f.lifted_at.is_(None))
    .values(lifted_at=bindparam("now", type_=_f.lifted_at.type))
)
_OF_PROVIDERS = Query(
    select(auth_clients.c.id).where(auth_clients.c.origin.in_(bindparam("origins", expanding=True))), scans=True
)
_COMPONENTS = Query(
    select(oauth_clients.c.tenant_id, oauth_clients.c.component_id).where(
        oauth_clients.c.id.in_(bindparam("clients", expanding=True))
    ),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Whose grants are frozen.

    Attributes:
        tenants: ids of tenants.
        clients: ids of auth clients, those of a frozen provider among them.
        components: tenant and component of frozen OAuth clients.
    """

    tenants: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    components: frozenset[tuple[str, str]] = frozenset()

    def covers(self, tenant_id: str, auth_client_id: str) -> bool:
        """Tell whether an auth secret is frozen."""
        return tenant_id in self.tenants or auth_client_id in self.clients

    def covers_component(self, tenant_id: str, component_id: str) -> bool:
        """Tell whether what a tenant has for a component is frozen: its OAuth client and credentials."""
        return tenant_id in self.tenants or (tenant_id, component_id) in self.components


NOTHING_FROZEN = Frozen()


class Freezes:
    """Freezes of all tenants."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(self, kind: FreezeKind, target: str, reason: str) -> Freeze:
        """Freeze a target; return the freeze that holds already, if there is one."""
        values = {
            "id": new_id(),
            "kind": kind.value,
            "target": target,
            "reason": reason,
            "created_at": self._unit.clock(),
            "lifted_at": None,
        }
        with suppress(AlreadyExists):
            await insert_row(self._unit.connection, freezes, values)
        (row,) = await _HOLDING.rows(self._unit.connection, kind=kind.value, target=target)
        return _freeze(row)

    async def lift(self, freeze_id: str) -> bool:
        """End a freeze; False if there is none that holds."""
        return await _LIFTING.run(self._unit.connection, id=freeze_id, now=self._unit.clock()) == 1

    async def find(self, freeze_id: str) -> Freeze | None:
        """Return a freeze, which may be over."""
        rows = await _BY_ID.rows(self._unit.connection, id=freeze_id)
        return next((_freeze(row) for row in rows), None)

    async def active(self) -> Sequence[Freeze]:
        """List those that hold."""
        return [_freeze(row) for row in await _ACTIVE.rows(self._unit.connection)]

    async def newest(self) -> Sequence[Freeze]:
        """List the newest, those that are over among them."""
        return [_freeze(row) for row in await _ALL.rows(self._unit.connection)]

    async def frozen(self) -> Frozen:
        """Return whose grants are frozen now."""
        rows = await _ACTIVE.rows(self._unit.connection)
        if not rows:
            return NOTHING_FROZEN
        targets = {kind: [row.target for row in rows if row.kind == kind.value] for kind in FreezeKind}
        connection, clients = self._unit.connection, set(targets[FreezeKind.client])
        components: Sequence[Any] = []
        if targets[FreezeKind.provider]:
            of_providers = await _OF_PROVIDERS.rows(connection, origins=targets[FreezeKind.provider])
            clients |= {row.id for row in of_providers}
        if targets[FreezeKind.client]:
            components = await _COMPONENTS.rows(connection, clients=targets[FreezeKind.client])
        return Frozen(
            frozenset(targets[FreezeKind.tenant]),
            frozenset(clients),
            frozenset((row.tenant_id, row.component_id) for row in components),
        )


def _freeze(row: Any) -> Freeze:
    lifted: datetime | None = row.lifted_at
    return Freeze(
        row.id,
        FreezeKind(row.kind),
        row.target,
        row.reason,
        row.created_at,
        lifted,
    )
