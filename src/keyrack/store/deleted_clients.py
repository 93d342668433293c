"""Keeps deleted clients for a time, each sealed as one value, and puts them back as they were.

A deleted client is really gone from its table: whatever looks for clients, unique keys among it, knows nothing of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Integer, Table, and_, bindparam, delete, or_, select

from keyrack.errors import AlreadyExists
from keyrack.model import Json
from keyrack.model.deleted_clients import ClientKind, DeletedClient
from keyrack.store.auth_clients import AuthClientComponents, AuthClientRows
from keyrack.store.components import ComponentRows
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.schema import auth_clients, deleted_clients, oauth_clients
from keyrack.store.schema.base import Moment, as_milliseconds, as_moment
from keyrack.store.sealed_columns import PREFIX

_TABLES: Mapping[ClientKind, Table] = {ClientKind.auth: auth_clients, ClientKind.oauth: oauth_clients}
_COLUMN, _LINKS, _ROW, _CLEAR = "sealed_client", "components", "row", "clear"
_d = deleted_clients.c
_LIGHT = [column for column in _d if column is not _d.sealed_client]
_NOT_OVER = _d.ends_at > bindparam("now", type_=_d.ends_at.type)

_ROWS: Mapping[ClientKind, TenantQuery] = {
    kind: TenantQuery(table, select(*table.c).where(table.c.id == bindparam("id"))) for kind, table in _TABLES.items()
}
_ALL = TenantQuery(
    deleted_clients, select(*_LIGHT).where(_NOT_OVER).order_by(_d.deleted_at.desc(), _d.id.desc()), scans=True
)
_BY_ID = TenantQuery(deleted_clients, select(*_LIGHT).where(_d.id == bindparam("id")))
_WHOLE = TenantQuery(deleted_clients, select(*_d).where(_d.id == bindparam("id")))
_OF_PLACES = TenantQuery(
    deleted_clients,
    select(_d.id)
    .where(
        or_(_d.workspace_id.in_(bindparam("workspaces", expanding=True)), _d.contract_id == bindparam("contract")),
    )
    .order_by(_d.id),
    scans=True,
)
_OF_TENANT = TenantQuery(deleted_clients, select(_d.id).order_by(_d.id), scans=True)
_SURPLUS = TenantQuery(
    deleted_clients,
    select(_d.id).order_by(_d.deleted_at.desc(), _d.id.desc()).limit(100).offset(bindparam("most", type_=Integer)),
    scans=True,
)
_REMOVAL = TenantChange(deleted_clients, delete(deleted_clients).where(_d.id == bindparam("id")))
_EVERYWHERE = Query(
    select(*_LIGHT).where(_NOT_OVER).order_by(_d.tenant_id, _d.deleted_at.desc(), _d.id.desc()), scans=True
)
_ENDED = Query(
    select(_d.tenant_id, _d.id, _d.ends_at)
    .where(
        _d.ends_at <= bindparam("now", type_=_d.ends_at.type),
        or_(
            _d.ends_at > bindparam("after", type_=_d.ends_at.type),
            and_(_d.ends_at == bindparam("after", type_=_d.ends_at.type), _d.id > bindparam("last")),
        ),
    )
    .order_by(_d.ends_at, _d.id)
    .limit(bindparam("most", type_=Integer))
)


class DeletedClients(TenantTable):
    """Those of the unit's tenant; of the installation, global ones."""

    table = deleted_clients

    async def put(self, kind: ClientKind, client_id: str, ends_at: datetime) -> None:
        """Keep a client that is deleted in this transaction; it is locked, and still in its table.

        Args:
            kind: what it is.
            client_id: the client.
            ends_at: until when it can be restored.

        Raises:
            AlreadyExists: another tenant's deleted client has the id, which only an import can bring about.
        """
        table = _TABLES[kind]
        row = await self.ask_one(_ROWS[kind], id=client_id)
        if row is None:
            return
        values = {column.name: await self._kept(column, row) for column in table.c if column.name != "tenant_id"}
        links: Sequence[str] = ()
        if kind is ClientKind.auth:
            links = (await AuthClientComponents(self.unit).of([client_id])).get(client_id, ())
        whole = {_ROW: values, _LINKS: list(links)}
        await self.make(_REMOVAL, id=client_id)
        await self.insert(
            {
                "id": client_id,
                "kind": kind.value,
                "contract_id": values.get("contract_id"),
                "workspace_id": values.get("workspace_id"),
                "component_id": values.get("component_id"),
                "name": values.get("name"),
                "sealed_client": await self.unit.seal(deleted_clients, client_id, _COLUMN, whole),
                "deleted_at": self.unit.clock(),
                "ends_at": ends_at,
            }
        )

    async def restore(self, deleted_client_id: str) -> DeletedClient | None:
        """Put a client back as it was, with those of its components that the tenant still sees.

        Returns:
            None: there is none, or its time is over.

        Raises:
            AlreadyExists: another client has its place now; nothing is changed, and `pointer` says what clashes.
            RelatedNotFound: the contract or workspace that it belongs to is gone; nothing is changed.
        """
        await self.lock_to_delete(deleted_client_id)
        row = await self.ask_one(_WHOLE, id=deleted_client_id)
        if row is None or row.ends_at <= self.unit.clock():
            return None
        whole = await self._whole(row)
        deleted = _of(row)
        table = _TABLES[deleted.kind]
        given = {
            name: await self._given(table, deleted_client_id, name, value)
            for name, value in whole[_ROW].items()
            if name in table.c  # a newer version may have dropped what an older one has kept
        }
        rows = AuthClientRows(self.unit) if deleted.kind is ClientKind.auth else OAuthClientRows(self.unit)
        try:
            await rows.insert(given)
        except AlreadyExists:
            raise await self._taken(deleted) from None
        await ComponentRows(self.unit).hold([], whole[_LINKS])
        seen = await ComponentRows(self.unit).seen_among(whole[_LINKS])
        linked = [component_id for component_id in whole[_LINKS] if component_id in seen]
        await AuthClientComponents(self.unit).replace(deleted_client_id, linked)
        await self.make(_REMOVAL, id=deleted_client_id)
        return deleted

    async def find(self, deleted_client_id: str) -> DeletedClient | None:
        """Return one, whether its time is over or not."""
        row = await self.ask_one(_BY_ID, id=deleted_client_id)
        return None if row is None else _of(row)

    async def credentials_of(self, deleted_auth_client_id: str) -> Json:
        """Return the credentials of a deleted auth client, in clear; nothing if there is none.

        Raises:
            DecryptionFailed, WrongKey: what was kept is damaged.
        """
        row = await self.ask_one(_WHOLE, id=deleted_auth_client_id)
        kept = {} if row is None else (await self._whole(row))[_ROW].get("sealed_credentials") or {}
        credentials: Json = kept.get(_CLEAR) or {}
        return credentials

    async def list(self) -> Sequence[DeletedClient]:
        """List those that can be restored, those that were deleted last first."""
        return [_of(row) for row in await self.ask(_ALL, now=self.unit.clock())]

    async def of_places(self, workspace_ids: Sequence[str], contract_id: str | None) -> Sequence[str]:
        """Return the ids of those that belonged to workspaces, or to a contract itself."""
        return [row.id for row in await self.ask(_OF_PLACES, workspaces=[*workspace_ids], contract=contract_id)]

    async def ids(self) -> Sequence[str]:
        """Return the ids of all, whether their time is over or not."""
        return [row.id for row in await self.ask(_OF_TENANT)]

    async def surplus(self, most: int) -> Sequence[str]:
        """Return the ids of the first that were deleted, where there are more than so many; a hundred at a time."""
        return [row.id for row in await self.ask(_SURPLUS, most=most)]

    async def forget(self, deleted_client_id: str) -> bool:
        """Delete one for good; False if there was none."""
        return await self.make(_REMOVAL, id=deleted_client_id) == 1

    async def _whole(self, row: Any) -> Json:
        whole: Json = await self.unit.open(deleted_clients, row.id, _COLUMN, row.sealed_client)
        return whole

    async def _taken(self, deleted: DeletedClient) -> AlreadyExists:
        if await self.ask_one(_ROWS[deleted.kind], id=deleted.id) is not None:
            return AlreadyExists("there is a client with this id already", pointer="/data/id")
        if deleted.kind is ClientKind.oauth:
            pointer = "/data/relationships/component"
            return AlreadyExists("the tenant has another OAuth client for the component now", pointer=pointer)
        pointer = "/data/relationships/workspace"
        return AlreadyExists("the workspace has another client for the same server now", pointer=pointer)

    async def _kept(self, column: "Column[Any]", row: Any) -> Any:
        value = getattr(row, column.name)
        if value is None:
            return None
        if column.name.startswith(PREFIX):
            return {_CLEAR: await self.unit.open(column.table, row.id, column.name, value)}
        return as_milliseconds(value) if isinstance(column.type, Moment) else value

    async def _given(self, table: Table, client_id: str, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name.startswith(PREFIX):
            return await self.unit.seal(table, client_id, name, value[_CLEAR])
        return as_moment(value) if isinstance(table.c[name].type, Moment) else value


class DeletedClientsAcrossTenants:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def ended(self, after: datetime, last: str, most: int) -> Sequence[tuple[str, str, datetime]]:
        """Return tenant, id and end of clients whose time is over, the longest over first.

        Args:
            after: when that of the last client of the page before ended; some time long ago for the first page.
            last: its id.
            most: how many.
        """
        given = {"now": self._unit.clock(), "after": after, "last": last, "most": most}
        return [(row.tenant_id, row.id, row.ends_at) for row in await _ENDED.rows(self._unit.connection, **given)]

    async def list(self) -> Sequence[DeletedClient]:
        """List those of all tenants that can be restored, by tenant; of each, those that were deleted last first."""
        return [_of(row) for row in await _EVERYWHERE.rows(self._unit.connection, now=self._unit.clock())]


def _of(row: Any) -> DeletedClient:
    return DeletedClient(
        row.id,
        row.tenant_id,
        ClientKind(row.kind),
        row.contract_id,
        row.workspace_id,
        row.component_id,
        row.name,
        row.deleted_at,
        row.ends_at,
    )
