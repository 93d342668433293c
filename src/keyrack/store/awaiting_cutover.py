"""The auth secrets that await the cutover of the import that brought them: listed, counted, and let go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, func, null, select, update

from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import auth_secrets

_s = auth_secrets.c
_WAITS = _s.cutover_batch_id.is_not(None)
_STRETCH = (
    select(_s.id, _s.due_at)
    .where(_WAITS, _s.id > bindparam("after"))
    .order_by(_s.id)
    .limit(bindparam("most"))
    .with_for_update()
)
_OF_BATCH = TenantQuery(auth_secrets, _STRETCH.where(_s.cutover_batch_id == bindparam("batch")), scans=True)
_OF_CLIENT = TenantQuery(auth_secrets, _STRETCH.where(_s.auth_client_id == bindparam("client")), scans=True)
_RELEASE = TenantChange(
    auth_secrets,
    update(auth_secrets)
    .where(_s.id == bindparam("secret"))
    .values(cutover_batch_id=null(), due_at=bindparam("due", type_=_s.due_at.type)),
)
_EXPIRED = func.sum(case((and_(_s.expires_at.is_not(None), _s.expires_at <= bindparam("now")), 1), else_=0))
_COUNTS = Query(
    select(_s.tenant_id, _s.cutover_batch_id, func.count().label("number"), _EXPIRED.label("expired"))
    .where(_WAITS)
    .group_by(_s.tenant_id, _s.cutover_batch_id),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """How many grants await a cutover.

    Attributes:
        grants: all of them.
        expired: those whose access token has expired, so that readers are told `error`.
    """

    grants: int = 0
    expired: int = 0


class AwaitingCutover(TenantTable):
    """The secrets of the unit's tenant that await a cutover. Every method needs a unit that writes."""

    table = auth_secrets

    async def of_batch(self, batch_id: str, after: str, limit: int) -> dict[str, datetime | None]:
        """Return some that an import brought, kept from changing until the transaction ends.

        Args:
            batch_id: the import.
            after: the id after which the stretch begins: what was let go before is not gone through again.
            limit: how many at most. There may be fewer although more follow, where somebody else changes some just now.

        Returns:
            Their due times by id, in the order of these.
        """
        return _by_id(await self.ask(_OF_BATCH, batch=batch_id, after=after, most=limit))

    async def of_client(self, auth_client_id: str, after: str, limit: int) -> dict[str, datetime | None]:
        """Return some of those of an auth client; the rest is as with `of_batch`."""
        return _by_id(await self.ask(_OF_CLIENT, client=auth_client_id, after=after, most=limit))

    async def release(self, due: Mapping[str, datetime | None]) -> None:
        """Let secrets go: once the transaction commits, they are refreshed as all others are, at the given times."""
        mine = {"tenant_id": self.unit.tenant_id}
        rows = [{**mine, "secret": secret_id, "due": at} for secret_id, at in due.items()]
        await _RELEASE.run_each(self.unit.connection, rows)


async def waiting_counts(unit: Unit) -> Mapping[str, WaitingCount]:
    """Count what awaits a cutover, by import; made from the unit of the installation."""
    rows = await _COUNTS.rows(unit.connection, now=unit.clock())
    return {row.cutover_batch_id: WaitingCount(int(row.number), int(row.expired)) for row in rows}


def _by_id(rows: Sequence[Any]) -> dict[str, datetime | None]:
    return {row.id: row.due_at for row in rows}
