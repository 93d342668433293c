"""Invites into contracts (contract section 9)."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, UniqueConstraint

from keyrack.store.schema.base import Document, Id, at, belongs_to, metadata, own_id, tenant

contract_invites = Table(
    "contract_invites",
    metadata,
    own_id(),
    tenant(),
    belongs_to("contract_id", "contracts.id"),
    Column("email", String(320), nullable=False),
    Column("email_key", String(320), nullable=False),
    Column("roles", Document, nullable=False),
    Column("workspace_id", Id, ForeignKey("workspaces.id", ondelete="CASCADE")),
    Column("workspace_roles", Document),
    at("created_at"),
    UniqueConstraint("contract_id", "email_key"),
    Index("contract_invites_tenant_id_email_key_idx", "tenant_id", "email_key"),
    Index("contract_invites_workspace_id_idx", "workspace_id"),
)
