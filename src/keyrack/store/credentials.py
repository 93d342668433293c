"""First-generation credentials, their values encrypted (contract section 16)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.credentials import Credential
from keyrack.model.secrets import NO_ACCOUNT, ProviderAccount
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of, readable
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, referring
from keyrack.store.schema import credentials
from keyrack.store.search_index import is_named

_c = credentials.c

_BY_ID = TenantQuery(credentials, select(*_c).where(_c.id == bindparam("id")))
_HELD = TenantQuery(
    credentials,
    referring(select(_c.id).where(_c.id.in_(bindparam("ids", expanding=True))).order_by(_c.id), credentials),
)
_HANDING_OVER = TenantChange(
    credentials,
    update(credentials)
    .where(_c.workspace_id == bindparam("workspace"), _c.user_id == bindparam("user"))
    .values(user_id=bindparam("successor")),
    scans=True,
)
_REMOVAL = TenantChange(credentials, delete(credentials).where(_c.id == bindparam("id")))


class CredentialRows(TenantTable):
    """The credentials of the unit's tenant."""

    table = credentials

    async def add(
        self,
        workspace_id: str,
        component_id: str,
        user_id: str,
        name: str,
        keys: Json,
        *,
        account: ProviderAccount = NO_ACCOUNT,
        made_id: str | None = None,
    ) -> Credential:
        """Store a new credential, under a new id that was made before if there is one."""
        now, tenant_id = self.unit.clock(), self.unit.tenant_id
        made = Credential(
            made_id or new_id(), tenant_id, workspace_id, component_id, user_id, name, keys, account=account
        )
        sealed = await self.unit.seal(credentials, made.id, "sealed_keys", keys)
        await self.insert(
            {
                "id": made.id,
                "workspace_id": workspace_id,
                "component_id": component_id,
                "user_id": user_id,
                "name": name,
                "account_label": account.label,
                "account_subject": account.subject,
                "sealed_keys": sealed,
                "created_at": now,
                "updated_at": now,
            }
        )
        return made

    async def find(self, credential_id: str) -> Credential | None:
        """Return one by its id, or None."""
        row = await self.ask_one(_BY_ID, id=credential_id)
        return None if row is None else await self._read(row)

    async def hold(self, credential_ids: Sequence[str]) -> None:
        """Keep credentials that a flow is going to use from being deleted until the transaction ends."""
        await self.ask(_HELD, ids=credential_ids)

    async def page(
        self,
        workspace_id: str,
        component_id: str | None,
        *,
        beginning: str = "",
        with_keys: bool,
        limit: int | None,
        offset: int | After,
    ) -> tuple[Sequence[Credential], int]:
        """List a workspace's credentials by id; return a page and the total.

        Args:
            workspace_id: the workspace.
            component_id: only those of a component, if given.
            beginning: only those in whose name a word begins so, or that have this id; empty for all.
            with_keys: decrypt their values, but large ones, which are left out (`whole`); without, `keys` are empty.
            limit: how many at most; None for all.
            offset: how many to pass over, or where a stretch begins.
        """
        light = [column for column in credentials.c if column is not credentials.c.sealed_keys]
        columns = [*light, *read_along(limit, credentials.c.sealed_keys)] if with_keys else light
        query = self.select(*columns).where(credentials.c.workspace_id == workspace_id).order_by(credentials.c.id)
        if component_id is not None:
            query = query.where(credentials.c.component_id == component_id)
        if beginning:
            query = query.where(is_named("credential", credentials.c.id, beginning))
        rows, total = await page_of(self.unit.connection, query, credentials.c.id, limit=limit, offset=offset)
        if not with_keys:
            return [_credential(row, {}) for row in rows], total

        async def read(row: "Row[Any]") -> Credential:
            return replace(_credential(row, {}), left_out=row.left_out) if row.left_out else await self._read(row)

        return await readable(rows, read, _damaged), total

    async def whole(self, found: Sequence[Credential]) -> Mapping[str, Credential]:
        """Return by id those of some credentials of a list that are still there, decrypted."""
        rows = await self.all(self.select().where(credentials.c.id.in_([each.id for each in found])))
        return {each.id: each for each in await readable(rows, self._read, _damaged)}

    async def replace(self, credential: Credential) -> None:
        """Store a credential's changed name and values."""
        sealed = await self.unit.seal(credentials, credential.id, "sealed_keys", credential.keys)
        changed = {
            "name": credential.name,
            "account_label": credential.account.label,
            "account_subject": credential.account.subject,
            "sealed_keys": sealed,
            "updated_at": self.unit.clock(),
        }
        await self.set_columns(credential.id, changed)

    async def hand_over(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's credentials in a workspace to another user (contract section 10)."""
        await self.make(_HANDING_OVER, workspace=workspace_id, user=user_id, successor=successor)

    async def remove(self, credential_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.make(_REMOVAL, id=credential_id) == 1

    async def _read(self, row: "Row[Any]") -> Credential:
        keys = await self.unit.open(credentials, row.id, "sealed_keys", row.sealed_keys)
        return _credential(row, keys)


def _damaged(row: "Row[Any]") -> Credential:
    return replace(_credential(row, {}), damaged=True)


def _credential(row: "Row[Any]", keys: Json) -> Credential:
    account = ProviderAccount(row.account_label, row.account_subject)
    return Credential(
        row.id, row.tenant_id, row.workspace_id, row.component_id, row.user_id, row.name, keys, account=account
    )
