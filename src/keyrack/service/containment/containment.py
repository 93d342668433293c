"""Freezes what an incident is about, deals with its grants a few at a time, and lifts the freeze (decision 47)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from urllib.parse import urlsplit

from keyrack import metrics
from keyrack.errors import ConfigurationError, NotFound
from keyrack.ids import is_id
from keyrack.model.containment import (
    BlastRadius,
    ContainedGrant,
    Freeze,
    FreezeKind,
    GrantStatus,
    TargetedGrant,
)
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.containment.grant_actions import ContainAction, GrantActions
from keyrack.store.audit_log import AuditLog
from keyrack.store.contained_grants import ContainedGrants, TargetedGrants
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.freezes import Freezes
from keyrack.store.tenants import TenantRows

AT_ONCE = 16
"""Grants that are dealt with at a time, of all tenants in turn."""

_DONE: Mapping[ContainAction, Collection[GrantStatus]] = {
    ContainAction.revoke: (GrantStatus.dead,),
    ContainAction.rotate: (GrantStatus.dead, GrantStatus.exchanged),
}
"""With which grants nothing is left to do."""
_TOLD_AS: Mapping[GrantStatus, str] = {
    GrantStatus.dead: "containment.dead",
    GrantStatus.exchanged: "containment.exchanged",
    GrantStatus.alive: "containment.not_dead",
    GrantStatus.unknown: "containment.not_dead",
}

Told = Callable[[ContainedGrant], None]


class Containment:
    """For the operator, at the command line.

    Args:
        store: all data.
        actions: deals with one grant; None where nothing is sent.
        at_once: how many grants are dealt with at a time.
    """

    def __init__(self, store: Store, actions: GrantActions | None = None, at_once: int = AT_ONCE) -> None:
        self._store = store
        self._actions = actions
        self._at_once = at_once

    async def target(self, kind: FreezeKind, named: str) -> str:
        """Return a target as it is stored.

        Args:
            kind: what it is.
            named: the id of a client or tenant; of a provider where tokens are renewed: scheme and host, or host alone.

        Raises:
            NotFound: there is no such client or tenant.
            ConfigurationError: it names no provider.
        """
        if kind is FreezeKind.provider:
            return _origin(named)
        async with self._store.installation() as unit:
            directory = Directory(unit)
            kinds = ("tenant",) if kind is FreezeKind.tenant else ("auth_client", "oauth_client")
            found = [await directory.place(each, named) for each in kinds] if is_id(named) else []
        if not any(found):
            raise NotFound(f"there is no such {kind.value}")
        return named

    async def blast_radius(self, kind: FreezeKind, target: str) -> BlastRadius:
        """Count what hangs on a target."""
        async with self._store.installation() as unit:
            return await TargetedGrants(unit).blast_radius(kind, target)

    async def freeze(self, kind: FreezeKind, target: str, reason: str) -> Freeze:
        """Refuse the grants of a target to everybody, in every process within a second; again does nothing more."""
        async with self._store.installation(writes=True) as unit:
            frozen = await Freezes(unit).add(kind, target, reason)
            await self._told(unit, "containment.freeze", frozen)
        return frozen

    async def lift(self, freeze_id: str) -> Freeze:
        """Let the grants of a freeze be read again.

        Raises:
            NotFound: there is no such freeze, or it is over.
        """
        async with self._store.installation(writes=True) as unit:
            frozen = await Freezes(unit).find(freeze_id)
            if frozen is None or not await Freezes(unit).lift(freeze_id):
                raise NotFound("there is no such freeze, or it is over")
            await self._told(unit, "containment.lift", frozen)
        return frozen

    async def list(self) -> Sequence[Freeze]:
        """List the newest freezes, those that are over among them."""
        async with self._store.installation() as unit:
            return await Freezes(unit).newest()

    async def report(self, frozen: Freeze) -> Sequence[ContainedGrant]:
        """Return what became of the grants of a freeze, as far as they were dealt with."""
        async with self._store.installation() as unit:
            return await TargetedGrants(unit).contained(frozen.id)

    async def deal_with(self, frozen: Freeze, action: ContainAction, told: Told = lambda _: None) -> None:
        """Revoke or exchange all grants of a freeze that this is left to do with; it can be begun again at any time.

        Tenants take turns, and `at_once` bounds what is under way, so that nobody's many grants hold up another's. What
        became of each is stored before it is told.

        Args:
            frozen: the freeze.
            action: what is done to each grant.
            told: hears of each.

        Raises:
            DatabaseUnavailable: the database is gone; what was dealt with is known when it is begun again.
        """
        actions = self._actions
        if actions is None:
            raise ConfigurationError("nothing can be sent from here")
        async with self._store.installation(writes=True) as unit:
            await self._told(unit, f"containment.{action.value}", frozen)
        waiting: asyncio.Queue[TargetedGrant | None] = asyncio.Queue(maxsize=2 * self._at_once)

        async def work() -> None:
            while (grant := await waiting.get()) is not None:
                contained = await actions.deal_with(grant, action)
                await self._note(frozen, contained)
                told(contained)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._at_once):
                    group.create_task(work())
                async for grant in self._left(frozen, _DONE[action]):
                    await waiting.put(grant)
                for _ in range(self._at_once):
                    await waiting.put(None)
        except ExceptionGroup as failed:  # one of them tells as much as all
            raise failed.exceptions[0] from None

    async def _left(self, frozen: Freeze, done: Collection[GrantStatus]) -> AsyncIterator[TargetedGrant]:
        """Yield the grants of a freeze that had no status among some when this began, tenants in turn."""
        began, turn, tenant = self._store.clock(), 0, ""
        while True:
            async with self._store.installation() as unit:
                page = await TargetedGrants(unit).left(frozen, done, began, turn, tenant)
            if not page:
                return
            for _, grant in page:
                yield grant
            turn, tenant = page[-1][0], page[-1][1].tenant_id

    async def _note(self, frozen: Freeze, contained: ContainedGrant) -> None:
        metrics.grant_contained(contained.status.value)
        async with self._store.unit(contained.tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold():
                return
            await ContainedGrants(unit).note(frozen.id, contained)
            target = ("auth-secret", contained.secret_id)
            await AuditLog(unit).append(operator(), _TOLD_AS[contained.status], target, ALLOWED)

    async def _told(self, unit: Unit, action: str, frozen: Freeze) -> None:
        """Write down what the operator does: where the operator finds it, and in the log of the tenant it is about."""
        await AuditLog(unit).append(operator(), action, (frozen.kind.value, frozen.target), ALLOWED)
        if frozen.kind is FreezeKind.tenant:
            own = unit.of_tenant(frozen.target)
            await AuditLog(own).append(operator(), action, (frozen.kind.value, frozen.target), ALLOWED)


def _origin(named: str) -> str:
    """Return scheme, host and port of a provider."""
    address = named if "://" in named else f"https://{named}"
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError("name a provider by scheme and host, such as https://login.example.com")
    return origin_of(address)
