"""What is frozen while an incident is contained, and what became of each grant."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text

from keyrack.store.schema.base import Document, Id, at, metadata, own_id

freezes = Table(
    "freezes",
    metadata,
    own_id(),
    Column("kind", String(10), nullable=False),  # "client", "provider" or "tenant"
    Column("target", String(512), nullable=False),  # id of the client or tenant; scheme, host and port of the provider
    Column("reason", Text, nullable=False),
    at("created_at"),
    at("lifted_at", nullable=True),  # null while it holds
)
Index(
    "freezes_active_idx",
    freezes.c.kind,
    freezes.c.target,
    unique=True,
    postgresql_where=freezes.c.lifted_at.is_(None),
    sqlite_where=freezes.c.lifted_at.is_(None),
)

contained_grants = Table(
    "contained_grants",
    metadata,
    Column("freeze_id", Id, ForeignKey("freezes.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("secret_id", Id, primary_key=True),  # no foreign key: what became of a grant outlives its secret
    Column("status", String(10), nullable=False),  # "dead", "alive" or "unknown"
    Column("facts", Document, nullable=False),  # of each token what became of it, and why; nothing secret
    at("at"),
    Index("contained_grants_tenant_id_idx", "tenant_id"),
)
