"""Lists of a workspace's auth secrets, narrowed in the database (contract 15.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, not_, or_, select

from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.store.auth_secrets import read_secret, secret_of
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of, readable
from keyrack.store.core.unit import TenantTable
from keyrack.store.schema import auth_clients, auth_secrets


@dataclass(frozen=True, slots=True)
class SecretFilter:
    """What a list of secrets is narrowed to; None narrows nothing."""

    user_id: str | None = None
    auth_client_id: str | None = None
    state: SecretState | None = None
    """As a caller is told it now, not as it is stored."""
    expires_before: datetime | None = None
    """Secrets whose tokens never expire are left out."""
    scopes_missing: bool = False
    """Only those whose provider did not grant everything that was asked for."""


class SecretList(TenantTable):
    """The auth secrets of the unit's tenant, as lists."""

    table = auth_secrets

    async def page(
        self,
        workspace_id: str | None,
        wanted: SecretFilter,
        *,
        with_credentials: bool = True,
        leave_out: bool = False,
        limit: int | None,
        offset: int | After,
    ) -> tuple[Sequence[AuthSecret], int]:
        """List a workspace's secrets, or all of the tenant's, by id; return a page and the total.

        Args:
            workspace_id: only those of a workspace, if given.
            wanted: what else to narrow the list to.
            with_credentials: decrypt them; without, they are empty.
            leave_out: large ones are left out for now; see `whole`.
            limit: how many at most; None for all.
            offset: how many to pass over, or where a stretch begins.
        """
        s = auth_secrets.c
        conditions = self._conditions(workspace_id, wanted)
        columns: list[ColumnElement[Any]] = [column for column in s if column is not s.sealed_credentials]
        if with_credentials:
            columns += read_along(limit, s.sealed_credentials) if leave_out else [s.sealed_credentials]
        query = self.select(*columns).where(*conditions).order_by(s.id)
        rows, total = await page_of(self.unit.connection, query, s.id, limit=limit, offset=offset)
        if not with_credentials:
            return [secret_of(row, {}) for row in rows], total

        async def read(row: "Row[Any]") -> AuthSecret:
            if leave_out and row.left_out:
                return replace(secret_of(row, {}), left_out=row.left_out)
            return await read_secret(self.unit, row)

        return await readable(rows, read, _damaged), total

    async def whole(self, found: Sequence[AuthSecret]) -> Sequence[AuthSecret]:
        """Return those of some secrets of a list that are still there, decrypted."""
        rows = await self.all(self.select().where(auth_secrets.c.id.in_([each.id for each in found])))
        return await readable(rows, partial(read_secret, self.unit), _damaged)

    def _conditions(self, workspace_id: str | None, wanted: SecretFilter) -> list[ColumnElement[bool]]:
        s = auth_secrets.c
        conditions: list[ColumnElement[bool]] = []
        if workspace_id is not None:
            conditions.append(s.workspace_id == workspace_id)
        if wanted.user_id is not None:
            conditions.append(s.user_id == wanted.user_id)
        if wanted.auth_client_id is not None:
            conditions.append(s.auth_client_id == wanted.auth_client_id)
        if wanted.expires_before is not None:
            conditions.append(s.expires_at < wanted.expires_before)
        if wanted.scopes_missing:
            conditions.append(s.missing_scopes.is_not(None))
        if wanted.state is not None:
            broken = self._told_as_error(self.unit.clock())
            conditions.append(broken if wanted.state is SecretState.error else not_(broken))
        return conditions

    def _told_as_error(self, now: datetime) -> ColumnElement[bool]:
        """`keyrack.service.secrets.status.current_status` as a condition; a test holds both to the same answers."""
        s, c = auth_secrets.c, auth_clients.c
        rejected = (
            select(c.id)
            .where(c.id == s.auth_client_id, c.tenant_id.in_([self.unit.tenant_id, INSTALLATION]))
            .where(c.rejected_at.is_not(None))
            .exists()
        )
        failed = and_(s.failure.is_not(None), s.failed_at.is_not(None))
        expired = and_(s.expires_at.is_not(None), s.expires_at <= now)
        ended = not_(or_(s.refreshable, s.lifetime_guessed))
        return or_(
            s.state == SecretState.error.value, and_(expired, or_(ended, and_(s.refreshable, or_(rejected, failed))))
        )


def _damaged(row: Any) -> AuthSecret:
    """Return what can be told of a secret whose credentials cannot be decrypted: that they cannot be used."""
    text = "The stored credentials cannot be decrypted."
    return replace(
        secret_of(row, {}), state=SecretState.error, error=text, error_code=ErrorCode.unreadable, error_at=None
    )
