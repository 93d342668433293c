"""Finds grants whose refresh token may have been used up after a backup was taken, and writes the doubt down.

Needs no more of a grant than when it was due: what was to be refreshed before the database was lost has probably been.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, func, or_, select, union_all, update

from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.store.auth_secrets import SEALED, secret_of
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import attempts, audit_events, auth_secrets, events

_s = auth_secrets.c
_WAS_DUE = and_(_s.refreshable, _s.due_at <= bindparam("until", type_=_s.due_at.type))
_IS_OVER = and_(
    _s.refreshable,
    _s.state == SecretState.error.value,
    _s.error_code == ErrorCode.refresh_interrupted.value,
    _s.ambiguous_since.is_not(None),
)
_PAGE = TenantQuery(
    auth_secrets,
    select(*(column for column in _s if column.name != SEALED))
    .where(or_(_WAS_DUE, _IS_OVER), _s.id > bindparam("after"))
    .order_by(_s.id)
    .limit(bindparam("most")),
    scans=True,
)
_COUNT = TenantQuery(auth_secrets, select(func.count().label("number")).where(_s.refreshable), scans=True)
_DOUBT = TenantChange(
    auth_secrets,
    update(auth_secrets)
    .where(_s.id.in_(bindparam("secrets", expanding=True)), _s.ambiguous_since.is_(None))
    .values(ambiguous_since=bindparam("since")),
)
_moments = union_all(
    select(func.max(_s.updated_at).label("at")),
    select(func.max(_s.refreshed_at)),
    select(func.max(attempts.c.started_at)),
    select(func.max(events.c.created_at)),
    select(func.max(audit_events.c.at)),
).subquery("moments")
_NEWEST = Query(select(func.max(_moments.c.at).label("at")), scans=True)


class RestoredGrants(TenantTable):
    """The grants of the unit's tenant, after a restore."""

    table = auth_secrets

    async def refreshable(self) -> int:
        """Count the grants that are refreshed at all."""
        return int((await self.ask(_COUNT))[0].number)

    async def in_question(self, until: datetime, after: str, limit: int) -> Sequence[AuthSecret]:
        """List grants that were due until a moment, or of which it is known meanwhile that they are over; by id.

        Args:
            until: when the database was lost.
            after: the last id of the page before; empty for the first.
            limit: how many at most.

        Returns:
            Without their credentials.
        """
        rows = await self.ask(_PAGE, until=until, after=after, most=limit)
        return [secret_of(row, {}) for row in rows]

    async def doubt(self, secret_ids: Sequence[str], since: datetime) -> int:
        """Write down that the refresh tokens of grants may have been used up; needs a unit that writes.

        Returns:
            Of how many; those that were in doubt already are left as they are.
        """
        return await self.make(_DOUBT, secrets=list(secret_ids), since=since)


async def newest_change(unit: Unit) -> datetime | None:
    """Return the newest moment that the database knows of, in any tenant; None: nothing has happened in it.

    Reads whole tables. A restored database was saved no earlier.
    """
    moment: datetime | None = (await _NEWEST.rows(unit.connection))[0].at
    return moment
