"""Lists of a workspace's auth secrets, narrowed in the database (contract 15.2)."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, not_, or_, select

from keyrack.model.secrets import AuthSecret, ErrorCode, SecretFilter, SecretState
from keyrack.store.auth_secrets import name_key, read_without_key, secret_of
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, PagedQuery, readable
from keyrack.store.core.unit import TENANT, TenantTable
from keyrack.store.schema import auth_client_components, auth_clients, auth_secrets

_SHAPES = 512
"""Lists that are remembered: ways to narrow one, times sizes of its pages."""


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
        narrowing, values = self._narrowed_by(workspace_id, wanted)
        measured = limit if leave_out and with_credentials else None
        secrets = _paged(narrowing, with_credentials=with_credentials, leave_out=leave_out, limit=measured)
        rows, total = await secrets.page(self, limit=limit, offset=offset, **values)
        if not with_credentials:
            return [secret_of(row, {}) for row in rows], total

        async def read(row: "Row[Any]") -> AuthSecret:
            if leave_out and row.left_out:
                return replace(secret_of(row, {}), left_out=row.left_out)
            return await read_without_key(self.unit, row)

        return await readable(rows, read, _damaged), total

    async def whole(self, found: Sequence[AuthSecret]) -> Sequence[AuthSecret]:
        """Return those of some secrets of a list that are still there, decrypted."""
        rows = await self.all(self.select().where(auth_secrets.c.id.in_([each.id for each in found])))
        return await readable(rows, partial(read_without_key, self.unit), _damaged)

    def _narrowed_by(self, workspace_id: str | None, wanted: SecretFilter) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the names of the conditions that narrow a list, and their values."""
        given = {
            "workspace": workspace_id,
            "user": wanted.user_id,
            "client": wanted.auth_client_id,
            "expires_before": wanted.expires_before,
            "component": wanted.component_id,
        }
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        names = list(values)
        if wanted.scopes_missing:
            names.append("scopes_missing")
        if begins := name_key(wanted.named):
            names.append("named")
            values |= {"begins": begins, "ends": f"{begins}{chr(sys.maxunicode)}"}
        if wanted.state is not None:
            names.append(f"told_as_{wanted.state.value}")
            values["now"] = self.unit.clock()
        return tuple(names), values


def _told_as_error() -> ColumnElement[bool]:
    """`keyrack.service.secrets.status.current_status` as a condition; a test holds both to the same answers."""
    c = auth_clients.c
    rejected = (
        select(c.id)
        .where(c.id == _s.auth_client_id, or_(c.tenant_id == TENANT, c.tenant_id == INSTALLATION))
        .where(c.rejected_at.is_not(None))
        .exists()
    )
    failed = and_(_s.failure.is_not(None), _s.failed_at.is_not(None))
    expired = and_(_s.expires_at.is_not(None), _s.expires_at <= bindparam("now"))
    ended, waiting = not_(or_(_s.refreshable, _s.lifetime_guessed)), _s.cutover_batch_id.is_not(None)
    return or_(
        _s.state == SecretState.error.value,
        and_(expired, or_(ended, and_(_s.refreshable, or_(rejected, failed, waiting)))),
    )


_s = auth_secrets.c
_NARROWING: Mapping[str, ColumnElement[bool]] = {
    "workspace": _s.workspace_id == bindparam("workspace"),
    "user": _s.user_id == bindparam("user"),
    "client": _s.auth_client_id == bindparam("client"),
    "expires_before": _s.expires_at < bindparam("expires_before"),
    "scopes_missing": _s.missing_scopes.is_not(None),
    "component": _s.auth_client_id.in_(
        select(auth_client_components.c.auth_client_id).where(
            auth_client_components.c.component_id == bindparam("component"),
            or_(auth_client_components.c.tenant_id == TENANT, auth_client_components.c.tenant_id == INSTALLATION),
        )
    ),
    "named": and_(_s.name_key >= bindparam("begins"), _s.name_key < bindparam("ends")),
    "told_as_error": _told_as_error(),
    "told_as_ready": not_(_told_as_error()),
}
"""What a list may be narrowed by, with named parameters."""


@lru_cache(_SHAPES)
def _paged(narrowing: tuple[str, ...], *, with_credentials: bool, leave_out: bool, limit: int | None) -> PagedQuery:
    """Return the list that is narrowed so, made once for each way.

    Args:
        narrowing: names in `_NARROWING`.
        with_credentials: whether they are read.
        leave_out: whether large ones are left out, as `read_along` says.
        limit: rows of a page that leaves something out.
    """
    columns: list[ColumnElement[Any]] = [column for column in _s if not column.name.startswith("sealed_")]
    if with_credentials:
        columns += read_along(limit, _s.sealed_credentials) if leave_out else [_s.sealed_credentials]
    query = select(*columns).where(*(_NARROWING[name] for name in narrowing)).order_by(_s.id)
    return PagedQuery(auth_secrets, query, _s.id)


def _damaged(row: Any) -> AuthSecret:
    """Return what can be told of a secret whose credentials cannot be decrypted: that they cannot be used."""
    text = "The stored credentials cannot be decrypted."
    return replace(
        secret_of(row, {}), state=SecretState.error, error=text, error_code=ErrorCode.unreadable, error_at=None
    )
