"""Entries of the audit log (contract 0.16), and what a search for them names."""

from dataclasses import dataclass
from datetime import datetime

from keyrack.model.identity import PrincipalKind


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what, when, and whether it was allowed (contract 0.16)."""

    id: str
    at: datetime
    actor: str
    actor_kind: PrincipalKind
    action: str
    target_type: str
    target_id: str | None
    outcome: str
    address: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted; None narrows nothing.

    Attributes:
        since: only events at or after this time.
        until: only events before this time.
    """

    actor: str | None = None
    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    outcome: str | None = None
    address: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """A place in the order of the log: that of the event with this time and id."""

    at: datetime
    id: str
