"""Tables of events, webhooks, deliveries, mails and revocations: the outbox.

A row with a `due_at` is work: a worker claims it by moving `due_at` behind its lease and writing its `claim`, and ends
it by clearing both. So work that a dead worker left comes back by itself (`keyrack.store.core.claims`).
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from keyrack.store.schema.base import Document, Id, at, metadata, own_id, tenant

events = Table(
    "events",
    metadata,
    own_id(),
    tenant(),
    Column("type", String(64), nullable=False),
    Column("data", Document, nullable=False),
    Column("sealed_data", LargeBinary),  # what only receivers are told: a link, and whom it is for
    at("created_at"),
    Index("events_tenant_id_idx", "tenant_id", "id"),
    Index("events_tenant_id_type_idx", "tenant_id", "type", "id"),
    Index("events_created_at_idx", "created_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    own_id(),
    tenant(),
    Column("description", Text, nullable=False),
    Column("sealed_url", LargeBinary, nullable=False),  # its path may be what authorises us at the receiver
    Column("sealed_keys", LargeBinary, nullable=False),  # signing secrets, the newest first
    Column("event_types", Document),  # null: all that are sent without being named
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", String(20)),
    at("created_at"),
    at("updated_at"),
    Index("webhooks_tenant_id_idx", "tenant_id", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook_id", Id, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("event_id", Id, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),  # since it was last asked for
    at("due_at", nullable=True),
    Column("claim", Id),
    Column("last_status", Integer),
    Column("last_error", String(40)),
    at("created_at"),
    at("finished_at", nullable=True),
    Index("deliveries_event_id_idx", "event_id"),
    Index("deliveries_webhook_id_state_idx", "webhook_id", "state", "event_id"),
    Index("deliveries_finished_at_idx", "finished_at"),
)
Index(
    "deliveries_due_at_idx",
    deliveries.c.due_at,
    postgresql_where=deliveries.c.due_at.is_not(None),
    sqlite_where=deliveries.c.due_at.is_not(None),
)

revocations = Table(
    "revocations",
    metadata,
    own_id(),
    Column("tenant_id", Id, nullable=False),  # empty if the tenant is gone: what is pending outlives it
    Column("secret_id", Id, nullable=False),  # no foreign key: the secret is gone
    Column("workspace_id", Id, nullable=False),
    Column("auth_client_id", Id, nullable=False),
    Column("sealed_order", LargeBinary),  # endpoint, token and client; wiped when done
    Column("attempts", Integer, nullable=False),
    at("due_at", nullable=True),
    Column("claim", Id),
    Column("outcome", String(20)),
    at("created_at"),
    at("finished_at", nullable=True),
    Index("revocations_finished_at_idx", "finished_at"),
)
Index(
    "revocations_due_at_idx",
    revocations.c.due_at,
    postgresql_where=revocations.c.due_at.is_not(None),
    sqlite_where=revocations.c.due_at.is_not(None),
)

mails = Table(
    "mails",
    metadata,
    own_id(),
    tenant(),
    Column("target_type", String(64), nullable=False),  # what it is about, as the audit log names it
    Column("target_id", Id, nullable=False),
    Column("sealed_mail", LargeBinary),  # to whom, and the link; wiped when done
    Column("attempts", Integer, nullable=False),
    at("due_at", nullable=True),
    Column("claim", Id),
    Column("outcome", String(20)),
    at("created_at"),
    at("finished_at", nullable=True),
    Index("mails_tenant_id_created_at_idx", "tenant_id", "created_at"),
    Index("mails_finished_at_idx", "finished_at"),
)
Index(
    "mails_due_at_idx",
    mails.c.due_at,
    postgresql_where=mails.c.due_at.is_not(None),
    sqlite_where=mails.c.due_at.is_not(None),
)
