"""Reads the audit log (contract 0.16): page by page, searched, and exported as a whole."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from keyrack.model.audit import AuditEvent, AuditFilter, AuditPosition
from keyrack.model.identity import Principal
from keyrack.model.windows import Beside, Window, window
from keyrack.service.audit.chain_export import ChainExport
from keyrack.service.audit.chain_state import ChainState, ChainStates
from keyrack.service.authz.access import ALLOWED, Access
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.unit import Unit

EXPORT = "audit-log.export"
"""The action of whoever exports a log as a whole."""
_AT_ONCE = 500
"""Events of an export that are in memory at a time."""


async def was_made(unit: Unit, action: str, made_id: str) -> bool:
    """Tell whether something was made in the unit's tenant that has, or had, an id."""
    wanted = AuditFilter(action=action, target_id=made_id, outcome=ALLOWED)
    return bool(await AuditLog(unit).stretch(wanted, None, newest_first=True, limit=1))


class AuditTrail:
    """Who did what in a tenant."""

    def __init__(self, access: Access, states: ChainStates, chains: ChainExport) -> None:
        self._access = access
        self._states = states
        self._chains = chains

    async def page(
        self,
        who: Principal,
        tenant_id: str,
        equal: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        *,
        limit: int | None,
        offset: int = 0,
    ) -> tuple[Sequence[AuditEvent], int]:
        """List a tenant's events, oldest first; return a page and the total."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.audit.get")
            return await AuditLog(scope.unit).page(equal, since, until, limit=limit, offset=offset)

    async def search(
        self, who: Principal, tenant_id: str, wanted: AuditFilter, beside: Beside[AuditPosition], *, limit: int
    ) -> Window[AuditEvent]:
        """Find a tenant's events, newest first, without counting them.

        Args:
            who: the caller.
            tenant_id: the tenant.
            wanted: which.
            beside: which part of what is found.
            limit: how many at most.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.audit.get")
            found = await AuditLog(scope.unit).stretch(
                wanted, beside.key, newest_first=not beside.backwards, limit=limit + 1
            )
            return window(found, beside, limit)

    async def chain_state(self, who: Principal, tenant_id: str) -> ChainState:
        """Return how the hash chain of a tenant's log stands."""
        await self._require(who, tenant_id)
        return await self._states.of(tenant_id)

    async def export_chain(self, who: Principal, tenant_id: str) -> AsyncIterator[bytes]:
        """Read a tenant's whole log with its hash chain, as lines of docs/audit.md, which the log itself tells.

        Raises:
            Forbidden: the caller may not read the log.
        """
        async with self._access.tenant(who, tenant_id, EXPORT) as scope:
            scope.require("tenants.audit.get")
            scope.audit_target("audit-log", tenant_id)
        return self._chains.lines(tenant_id, lambda: self._require(who, tenant_id))

    async def _require(self, who: Principal, tenant_id: str) -> None:
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.audit.get")

    async def export(
        self, who: Principal, tenant_id: str, wanted: AuditFilter
    ) -> tuple[Sequence[AuditEvent], AsyncIterator[Sequence[AuditEvent]]]:
        """Read all events that are found until now, oldest first, a few at a time.

        Each stretch is read in a unit of work of its own; the caller's permission is judged for each.

        Returns:
            The first events, read when this returns, so that a refusal comes before an answer has begun; and what
            reads the others.

        Raises:
            Forbidden: the caller may not read the log.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            now = scope.unit.clock()
        ended = replace(wanted, until=now if wanted.until is None else min(now, wanted.until))
        first = await self._stretch(who, tenant_id, ended, None)
        return first, self._later(who, tenant_id, ended, first)

    async def _later(
        self, who: Principal, tenant_id: str, wanted: AuditFilter, found: Sequence[AuditEvent]
    ) -> AsyncIterator[Sequence[AuditEvent]]:
        while len(found) == _AT_ONCE:
            last = found[-1]
            found = await self._stretch(who, tenant_id, wanted, AuditPosition(last.at, last.id))
            yield found

    async def _stretch(
        self, who: Principal, tenant_id: str, wanted: AuditFilter, begin: AuditPosition | None
    ) -> Sequence[AuditEvent]:
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.audit.get")
            return await AuditLog(scope.unit).stretch(wanted, begin, newest_first=False, limit=_AT_ONCE)
