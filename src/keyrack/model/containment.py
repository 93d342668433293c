"""What is frozen while an incident is contained, and what became of each grant, as plain frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.model import Json


class FreezeKind(StrEnum):
    """What a freeze is about."""

    client = "client"
    provider = "provider"
    tenant = "tenant"


class GrantStatus(StrEnum):
    """What is known of a grant after it was revoked, or its tokens exchanged."""

    dead = "dead"
    """Nothing that was issued under it works any more, as far as the provider says."""
    exchanged = "exchanged"
    """Nothing works any more that was issued before, as far as the provider says; other tokens took its place."""
    alive = "alive"
    """Something that was issued under it works still."""
    unknown = "unknown"
    """The provider gave no answer that tells; trying again may."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze: nobody reads the grants it is about.

    Attributes:
        id: its id.
        kind: what it is about.
        target: id of the client or tenant; scheme, host and port of the provider.
        reason: why, as whoever froze has said.
        created_at: since when.
        lifted_at: until when; None: it holds.
    """

    id: str
    kind: FreezeKind
    target: str
    reason: str
    created_at: datetime
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TargetedGrant:
    """A grant that a freeze is about: whose it is and where."""

    tenant_id: str
    workspace_id: str
    auth_client_id: str
    secret_id: str


@dataclass(frozen=True, slots=True)
class ContainedGrant:
    """What became of one grant.

    Attributes:
        tenant_id: whose it is.
        secret_id: the auth secret that holds it.
        status: what is known.
        facts: of each token what became of it and why; nothing secret.
        at: when.
    """

    tenant_id: str
    secret_id: str
    status: GrantStatus
    facts: Json = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """How much hangs on a client, a provider or a tenant, in the whole installation.

    Attributes:
        clients: how many auth clients and OAuth clients.
        grants: how many auth secrets.
        credentials: how many credentials of the first generation, which components renew by themselves.
        tenants, workspaces, users: with any of these.
        flows: whose graphs name any of the grants.
    """

    clients: int
    grants: int
    credentials: int
    tenants: int
    workspaces: int
    users: int
    flows: int
