"""What happened to secrets and clients, for those who asked to be told."""

from sqlalchemy import Column, Index, String, Table

from keyrack.store.schema.base import Document, at, metadata, own_id, tenant

events = Table(
    "events",
    metadata,
    own_id(),
    tenant(),
    Column("type", String(64), nullable=False),
    Column("data", Document, nullable=False),
    at("created_at"),
    Index("events_tenant_id_idx", "tenant_id", "id"),
)
