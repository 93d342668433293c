"""Counts, for the audit log of the hour, who was shown values in the clear and who was refused to read."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from keyrack.errors import Forbidden
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.visible import visible

ALLOWED, DENIED, FAILED = "allowed", "denied", "failed"
"""Outcomes, as the audit log has them."""
_LONGEST_NAME = 64
_TRYING: ContextVar[bool] = ContextVar("trying", default=False)


class ActCounter(Protocol):
    """Counts what is written into the audit log by the hour: `service.audit.counted_acts`."""

    def note(
        self,
        who: Principal,
        address: str | None,
        tenant_id: str,
        action: str,
        target_type: str,
        target_id: str | None,
        outcome: str = ALLOWED,
    ) -> None:
        """Count that somebody did something just now. Never waits, never fails."""


class AccessCounts:
    """Counts reads of values, and refused attempts that are not written down one by one.

    Args:
        counter: None: nothing is counted.
    """

    def __init__(self, counter: ActCounter | None) -> None:
        self._counter = counter

    def disclosed(
        self, who: Principal, tenant_id: str, action: str, target_type: str, target_ids: Iterable[str]
    ) -> None:
        """Count that somebody was shown values in the clear.

        Args:
            who: the caller.
            tenant_id: whose the values are.
            action: as the audit log calls it.
            target_type: what they are of.
            target_ids: of which.
        """
        if self._counter is not None:
            for target_id in target_ids:
                self._counter.note(who, who.address, tenant_id, action, target_type, target_id)

    def refused(
        self, who: Principal, address: str | None, tenant_id: str, action: str, target: tuple[str, str | None]
    ) -> None:
        """Count an attempt of somebody who did not get in.

        Args:
            who: who it was, or claimed to be.
            address: from where.
            tenant_id: whose log it belongs into; empty: the installation's.
            action: what was tried.
            target: at what, a type and an id.
        """
        if self._counter is not None:
            self._counter.note(who, address, tenant_id, action, *target, DENIED)

    def denied(
        self,
        who: Principal,
        tenant_id: str,
        target: tuple[str, str | None],
        action: str | None = None,
        refusal: Forbidden | None = None,
    ) -> None:
        """Count a refused attempt of a caller at what is there, for the log of the caller's tenant.

        Also one who is told that it is not there (contract section 3), which no answer may show.

        Args:
            who: the caller.
            tenant_id: whose log it belongs into if the caller has no tenant.
            target: what it is, by what a path or the directory calls it, and its id.
            action: what was tried, as the audit log calls it; None: to read.
            refusal: tells the permission that was missing, which is named then instead.
        """
        if self._counter is None or _TRYING.get():
            return
        kind = target[0].replace("_", "-")
        missing = None if refusal is None else refusal.permission
        tried = missing or action or f"{kind}.read"
        self._counter.note(who, who.address, who.tenant_id or tenant_id, tried, kind, target[1], DENIED)


@contextmanager
def trying() -> Iterator[None]:
    """Find out within the block what a caller may read, without that a refusal counts as one: nobody asked for it."""
    before = _TRYING.set(True)
    try:
        yield
    finally:
        _TRYING.reset(before)


def stranger(name: str) -> Principal:
    """Return somebody who gave a name and did not show that it is his: as it can be shown, and cut short."""
    return Principal(PrincipalKind.user, "", visible(name[:_LONGEST_NAME])[:_LONGEST_NAME])
