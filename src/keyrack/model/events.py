"""Events, and the webhooks that are told of them, as plain frozen values, shared by every level."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.crypto.secret import Secret
from keyrack.model import Json


class EventType(StrEnum):
    """What webhooks tell about."""

    secret_created = "secret.created"
    secret_refreshed = "secret.refreshed"
    secret_failed = "secret.failed"
    secret_reauthorization_required = "secret.reauthorization_required"
    secret_scopes_missing = "secret.scopes_missing"
    secret_revoked = "secret.revoked"
    client_failing = "client.failing"
    client_recovered = "client.recovered"
    client_secret_expiring = "client.secret_expiring"
    client_secret_expired = "client.secret_expired"
    connect_link_connected = "connect_link.connected"
    connect_link_failed = "connect_link.failed"
    user_invited = "user.invited"
    webhook_test = "webhook.test"


NAMED_ONLY = frozenset({EventType.secret_refreshed, EventType.user_invited})
"""Events that a webhook gets only if it names their type: there are as many as refreshes, or they carry a link."""

TELLABLE = tuple(kind for kind in EventType if kind is not EventType.webhook_test)
"""The types a webhook can name; a test is sent by hand, whatever the webhook names."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a tenant. `data` holds ids and facts, never a secret.

    `for_receivers` has the members that only webhooks are told, which wanted the event when it happened; it is stored
    encrypted and never listed.
    """

    id: str
    tenant_id: str
    type: EventType
    data: Json
    created_at: datetime
    for_receivers: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A webhook's secret, `whsec_…`; it signs until `until`, or until it is replaced."""

    secret: Secret
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address of a tenant's own that is told of its events (Standard Webhooks)."""

    id: str
    tenant_id: str
    url: str = field(repr=False)
    """Where events are posted; its path may be what authorises us there, so it is kept like a secret."""
    description: str
    event_types: tuple[EventType, ...] | None
    """The types it wants; None: all but those that must be named."""
    enabled: bool
    disabled_reason: str | None
    """`gone` when the receiver answered 410."""
    keys: tuple[SigningKey, ...]
    """The newest first."""
    created_at: datetime
    updated_at: datetime

    def wants(self, kind: EventType) -> bool:
        """Tell whether it is told of events of a type."""
        return kind in wanted_types(self.event_types)


def wanted_types(named: Iterable[str] | None) -> frozenset[EventType]:
    """Return the types of events that a webhook gets which names these; None: it names none."""
    if named is None:
        return frozenset(TELLABLE) - NAMED_ONLY
    return frozenset(kind for kind in TELLABLE if kind in frozenset(named))


class DeliveryState(StrEnum):
    """How far the delivery of an event to a webhook has come."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one webhook."""

    webhook_id: str
    event_id: str
    event_type: EventType
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    """When it is tried next, while pending."""
    last_status: int | None
    """HTTP status of the last answer; None when there was none."""
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None
