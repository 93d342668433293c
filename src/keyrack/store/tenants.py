"""Tenants and their role policies (contract sections 6.3 and 7)."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Text, bindparam, cast, delete, select, update

from keyrack.errors import AlreadyExists
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.tenancy import Role, Tenant
from keyrack.store.core.connection import Connection
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.keyring import INSTALLATION, NewDataKey
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import (
    TENANT,
    TenantChange,
    TenantTable,
    Unit,
    deleting,
    insert_row,
    referring,
)
from keyrack.store.revocations import Revocations
from keyrack.store.schema import auth_clients, deleted_clients, roles, tenants

_t = tenants.c

_BY_ID = Query(select(*_t).where(_t.id == bindparam("id")))
_ITSELF = select(_t.id).where(_t.id == TENANT)
_HELD = Query(referring(_ITSELF, tenants))
_HELD_ALONE = Query(deleting(_ITSELF))
_CHANGE = Change(
    update(tenants)
    .where(_t.id == bindparam("row"))
    .values(
        name=bindparam("name"),
        app_domain=bindparam("app_domain"),
        attributes=bindparam("attributes"),
        is_default=bindparam("is_default"),
    )
)
_REMOVAL = Change(delete(tenants).where(_t.id == bindparam("id")), scans=True)
_CLIENTS_GONE = TenantChange(auth_clients, delete(auth_clients), scans=True)
_DELETED_CLIENTS_GONE = TenantChange(deleted_clients, delete(deleted_clients), scans=True)
_WITH_DOMAIN = Query(select(_t.id).where(_t.app_domain == bindparam("domain"), _t.id != bindparam("id")))
_POLICY_GONE = TenantChange(roles, delete(roles))


class TenantRows:
    """The tenants of the installation. A tenant-bound unit sees only its own."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(
        self, name: str, app_domain: str, attributes: Json, policy: Iterable[Role], key: NewDataKey | None = None
    ) -> Tenant:
        """Create a tenant with its data key and role policy; from the unit of the installation.

        Args:
            name: of the tenant.
            app_domain: its domain.
            attributes: its attributes.
            policy: its roles.
            key: made for it before, so that no key service is called in this transaction; its owner is the new id.

        Raises:
            AlreadyExists: another tenant has the domain, or is the default.
        """
        connection = self._unit.connection
        tenant = Tenant(
            new_id() if key is None else key.tenant, name, app_domain.lower(), attributes, self._unit.clock()
        )
        values = {"id": tenant.id, **_columns(tenant), "created_at": tenant.created_at}
        try:
            await insert_row(connection, tenants, values)
        except AlreadyExists:
            raise await self._taken(tenant) from None
        keyring = self._unit.keyring
        await keyring.add_key(connection, key or await keyring.make_key(tenant.id))
        for position, role in enumerate(policy):
            await insert_row(connection, roles, {"tenant_id": tenant.id, **_role_columns(role, position)})
        return tenant

    async def find(self, tenant_id: str) -> Tenant | None:
        """Return a tenant, or None; a tenant-bound unit finds no other's."""
        if not self._is_mine(tenant_id):
            return None
        rows = await _BY_ID.rows(self._unit.connection, id=tenant_id)
        return _tenant(rows[0]) if rows else None

    async def list(self) -> Sequence[Tenant]:
        """List tenants by id: all in the unit of the installation, else the unit's own."""
        query = select(tenants).order_by(tenants.c.id)
        if self._unit.tenant_id:
            query = query.where(tenants.c.id == self._unit.tenant_id)
        return [_tenant(row) for row in (await self._unit.connection.execute(query)).all()]

    async def page(self, *, limit: int | None, offset: int | After) -> tuple[Sequence[Tenant], int]:
        """List tenants as `list`; return a page and the total. Large attributes are left out; see `whole`."""
        c = tenants.c
        light = [column for column in c if column is not c.attributes]
        query = select(*light, *read_along(limit, c.attributes)).order_by(c.id)
        if self._unit.tenant_id:
            query = query.where(c.id == self._unit.tenant_id)
        rows, total = await page_of(self._unit.connection, query, c.id, limit=limit, offset=offset)
        return [replace(_tenant(row), left_out=row.left_out) for row in rows], total

    async def whole(self, found: "Sequence[Tenant]") -> Mapping[str, Tenant]:
        """Return by id those of some tenants of a list that are still there, with their attributes."""
        c = tenants.c
        query = select(c.id, cast(c.attributes, Text).label("text")).where(c.id.in_([each.id for each in found]))
        if self._unit.tenant_id:
            query = query.where(c.id == self._unit.tenant_id)
        texts = {row.id: row.text for row in (await self._unit.connection.execute(query)).all()}
        return {
            each.id: replace(each, attributes=await asyncio.to_thread(json.loads, texts[each.id]))
            for each in found
            if each.id in texts
        }

    async def hold(self, *, exclusive: bool = False) -> bool:
        """Keep the unit's tenant, its values and its roles as they are until the transaction ends.

        Every change in a tenant begins so (`keyrack.service.authz.access`): whoever changes or deletes the tenant
        itself or its roles waits for it, and so what a change builds on is there when it ends.

        Args:
            exclusive: wait for all who hold it, and keep others out: for what is about the tenant itself.

        Returns:
            Whether the tenant is there.
        """
        held = _HELD_ALONE if exclusive else _HELD
        return bool(await held.rows(self._unit.connection, tenant_id=self._unit.tenant_id))

    async def change(self, tenant: Tenant) -> None:
        """Store the changed values of a tenant that is held alone.

        Raises:
            AlreadyExists: another tenant has the domain, or is the default.
        """
        connection = self._require_mine(tenant.id)
        try:
            async with connection.savepoint():  # so that the transaction can still say what clashed
                await _CHANGE.run(connection, row=tenant.id, **_columns(tenant))
        except ConstraintViolated as error:
            if error.rule is Rule.unique:
                raise await self._taken(tenant) from None
            raise

    async def remove(self, tenant_id: str) -> None:
        """Delete a tenant with everything in it, and its data keys: nothing of it can be opened again.

        But tokens whose revocation is pending, which outlive it until that is over.
        """
        connection = self._require_mine(tenant_id)
        await Revocations(self._unit.of_tenant(tenant_id)).outlive_tenant()
        await _CLIENTS_GONE.run(connection, tenant_id=tenant_id)  # they have no foreign key
        await _DELETED_CLIENTS_GONE.run(connection, tenant_id=tenant_id)
        await _REMOVAL.run(connection, id=tenant_id)
        await self._unit.keyring.destroy_keys(connection, tenant_id)

    def _is_mine(self, tenant_id: str) -> bool:
        return self._unit.tenant_id in (INSTALLATION, tenant_id)

    def _require_mine(self, tenant_id: str) -> Connection:
        """Return the connection, for changing a tenant: another's unit never gets that far, as it finds none."""
        if not self._is_mine(tenant_id):
            raise RuntimeError("a unit that is bound to a tenant changes another")
        return self._unit.connection

    async def _taken(self, tenant: Tenant) -> AlreadyExists:
        if await _WITH_DOMAIN.rows(self._unit.connection, domain=tenant.app_domain, id=tenant.id):
            return AlreadyExists("another tenant already has this domain", pointer="/data/attributes/app_domain")
        return AlreadyExists("the installation already has a default tenant", pointer="/data/attributes/is_default")


class RolePolicy(TenantTable):
    """The roles of the unit's tenant."""

    table = roles

    async def list(self) -> Sequence[Role]:
        """List the roles in the order they were defined."""
        rows = await self.all(self.select().order_by(roles.c.position))
        return [Role(row.scope, row.role, frozenset(row.permissions), row.i18n) for row in rows]

    async def replace(self, policy: Iterable[Role]) -> None:
        """Replace the whole policy (contract 6.4)."""
        await self.make(_POLICY_GONE)
        for position, role in enumerate(policy):
            await self.insert(_role_columns(role, position))


def _columns(tenant: Tenant) -> Json:
    is_default = True if tenant.attributes.get("is_default") else None
    return {
        "name": tenant.name, "app_domain": tenant.app_domain, "attributes": tenant.attributes, "is_default": is_default,
    }  # fmt: skip


def _role_columns(role: Role, position: int) -> Json:
    return {
        "scope": role.scope, "role": role.role, "permissions": sorted(role.permissions), "i18n": dict(role.i18n),
        "position": position,
    }  # fmt: skip


def _tenant(row: "Row[Any]") -> Tenant:
    return Tenant(row.id, row.name, row.app_domain, row.attributes or {}, row.created_at)
