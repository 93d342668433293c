"""Entries of the audit log (contract 0.16)."""

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
