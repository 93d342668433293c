"""Running and finished authorizations (contract section 20)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.model import Json


class ConsentStatus(StrEnum):
    """How far a running authorization has come (contract section 20)."""

    pending = "pending"
    exchanging = "exchanging"
    completed = "completed"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Consent:
    """A running authorization (contract section 20). `memory` is what the callback needs, encrypted at rest.

    It names a component (first generation) or an auth client, then optionally also a component (second generation).
    """

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    component_id: str | None
    credential_id: str | None
    status: ConsentStatus
    error: str | None
    result_id: str | None
    created_at: datetime
    expires_at: datetime
    memory: Json = field(repr=False)
    auth_client_id: str | None = None
    auth_secret_id: str | None = None
    bound: bool = False
    """Whether only a browser that was on our own page before may finish it (contract 0.23)."""
    browser_hash: str | None = None
    """The browser that is bound, or that came back first."""
    ended_at: datetime | None = None
