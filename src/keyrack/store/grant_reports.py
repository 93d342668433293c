"""Reads grants of a tenant for reports, a part at a time: no statement looks at more than `WINDOW` or `SAMPLE` of them.

When a grant was read last has no index, which each note of a reading would have to write. So a report goes through
a tenant's grants in the order of their ids, by the index of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, func, or_, select, true

from keyrack.model.grant_reports import ReportedGrant, ReportPage
from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.store.core.unit import TENANT, TenantQuery, TenantTable
from keyrack.store.schema import auth_clients, auth_secrets

WINDOW = 5_000
"""Grants that one part of a report looks at."""
SAMPLE = 20_000
"""Grants, the latest ones of a tenant, from which lifetimes are learned."""
_DEATHS = 2_000

_s, _c = auth_secrets.c, auth_clients.c
_AFTER = _s.id > bindparam("after")
_IN_WINDOW = (_AFTER, _s.id <= bindparam("last"))
_MOST = bindparam("most", type_=Integer)
_BEFORE_LAST = bindparam("window", type_=Integer)
_LAST = TenantQuery(auth_secrets, select(_s.id).where(_AFTER).order_by(_s.id).offset(_BEFORE_LAST).limit(1), scans=True)
_COLUMNS = (
    _s.id,
    _s.name,
    _s.workspace_id,
    _s.type,
    _s.auth_client_id,
    _c.name.label("client_name"),
    _s.state,
    _s.created_at,
    _s.connected_at,
    _s.last_used_at,
    _s.expires_at,
    _s.refresh_token_expires_at,
    _s.grant_expires_at,
    _s.refreshable,
    _s.failed_at,
    _s.requested_scopes,
)
_USED_AT = func.coalesce(_s.last_used_at, _s.created_at)


def _listing(*conditions: ColumnElement[bool]) -> TenantQuery:
    joined = select(*_COLUMNS).join_from(auth_secrets, auth_clients, _s.auth_client_id == _c.id)
    return TenantQuery(auth_secrets, joined.where(*_IN_WINDOW, *conditions).order_by(_s.id).limit(_MOST), scans=True)


_IDLE = _listing(bindparam("before", type_=_s.created_at.type) > _USED_AT)
_UNTIL: ColumnElement[Any] = bindparam("until", type_=_s.created_at.type)
_ENDING = _listing(
    _s.state != SecretState.error.value,
    or_(
        _s.grant_expires_at <= _UNTIL,
        _s.refresh_token_expires_at <= _UNTIL,
        _s.auth_client_id.in_(bindparam("clients", expanding=True)),
    ),
)
_CLIENTS = TenantQuery(
    auth_secrets,
    select(_s.auth_client_id).where(*_IN_WINDOW, _s.state != SecretState.error.value).distinct(),
    scans=True,
)


class _OfSample(TenantQuery):
    """A query over the latest grants of the tenant, which the sample itself is limited to."""

    @classmethod
    def condition(cls, table: Any) -> ColumnElement[bool]:
        """Return nothing more."""
        del table
        return true()


def _sample() -> "Select[Any]":
    began = func.coalesce(_s.connected_at, _s.created_at, type_=_s.created_at.type).label("began")
    columns = (_s.auth_client_id, began, _s.state, _s.error_code, _s.error_at, _s.refreshable)
    return select(*columns).where(_s.tenant_id == TENANT).order_by(_s.id.desc()).limit(SAMPLE)


_latest = _sample().subquery()
_DIED = _OfSample(
    auth_secrets,
    select(_latest.c.auth_client_id, _latest.c.began, _latest.c.error_at)
    .where(
        _latest.c.state == SecretState.error.value,
        _latest.c.error_code == ErrorCode.reauthorization_required.value,
        _latest.c.error_at > _latest.c.began,
    )
    .limit(_DEATHS),
    scans=True,
)
_OLDEST = _OfSample(
    auth_secrets,
    select(_latest.c.auth_client_id, func.min(_latest.c.began, type_=_s.created_at.type).label("began"))
    .where(_latest.c.state != SecretState.error.value, _latest.c.refreshable)
    .group_by(_latest.c.auth_client_id),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class GrantLives:
    """How long grants of a tenant lived, and how long others have lived until now.

    Attributes:
        died_at: by auth client, the ages at which its grants were refused for good.
        oldest: by auth client, the age of the oldest of its grants that works.
    """

    died_at: Mapping[str, Sequence[timedelta]] = field(default_factory=dict)
    oldest: Mapping[str, timedelta] = field(default_factory=dict)


class GrantReportRows(TenantTable):
    """The auth secrets of the unit's tenant, as reports see them."""

    table = auth_secrets

    async def last_of_window(self, after: str) -> str | None:
        """Return the id of the last grant of the part that begins after an id; None: it is the last part."""
        rows = await self.ask(_LAST, after=after, window=WINDOW - 1)
        return rows[0].id if rows else None

    async def idle(self, before: datetime, after: str, last: str | None, limit: int) -> ReportPage[ReportedGrant]:
        """List the grants of a part that were read last, or made without ever being read, before a time.

        Args:
            before: the time.
            after: the id after which the part begins; empty: at the first one.
            last: as `last_of_window` has it.
            limit: how many at most; where there are more, the next part begins there.
        """
        rows = await self.ask(_IDLE, before=before, after=after, last=last or _HIGHEST, most=limit + 1)
        return _page(rows, last, limit)

    async def clients_of_window(self, after: str, last: str | None) -> Sequence[str]:
        """Return the ids of the auth clients of the working grants of a part."""
        return [row.auth_client_id for row in await self.ask(_CLIENTS, after=after, last=last or _HIGHEST)]

    async def ending(
        self, until: datetime, auth_client_ids: Sequence[str], after: str, last: str | None, limit: int
    ) -> ReportPage[ReportedGrant]:
        """List the working grants of a part of which a time is known that comes before `until`, or that are of clients.

        Args:
            until: the time.
            auth_client_ids: clients whose grants are all wanted.
            after: as in `idle`.
            last: likewise.
            limit: likewise.
        """
        given = {"until": until, "clients": auth_client_ids, "after": after, "last": last or _HIGHEST}
        return _page(await self.ask(_ENDING, **given, most=limit + 1), last, limit)

    async def lives(self) -> GrantLives:
        """Return how long the latest `SAMPLE` grants lived."""
        now = self.unit.clock()
        died: dict[str, list[timedelta]] = {}
        for row in await self.ask(_DIED):
            died.setdefault(row.auth_client_id, []).append(row.error_at - row.began)
        if not died:
            return GrantLives()
        return GrantLives(died, {row.auth_client_id: now - row.began for row in await self.ask(_OLDEST)})


_HIGHEST = "g"
"""Comes after every id, as these are of hexadecimal digits."""


def _page(rows: Sequence["Row[Any]"], last: str | None, limit: int) -> ReportPage[ReportedGrant]:
    found = [_grant(row) for row in rows[:limit]]
    return ReportPage(found, found[-1].id if len(rows) > limit else last)


def _grant(row: "Row[Any]") -> ReportedGrant:
    return ReportedGrant(
        id=row.id,
        name=row.name,
        workspace_id=row.workspace_id,
        type=row.type,
        auth_client_id=row.auth_client_id,
        client_name=row.client_name,
        state=row.state,
        created_at=row.created_at,
        connected_at=row.connected_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        refresh_token_expires_at=row.refresh_token_expires_at,
        grant_expires_at=row.grant_expires_at,
        refreshable=row.refreshable,
        failing=row.failed_at is not None,
        requested_scopes=tuple(row.requested_scopes or ()),
    )
