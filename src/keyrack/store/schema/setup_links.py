"""One-time links with which people get their first API key (decision 24)."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from keyrack.store.schema.base import Id, at, metadata, own_id, tenant

setup_links = Table(
    "setup_links",
    metadata,
    own_id(),
    tenant(),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE")),  # whose account it sets up; null: an invite's
    Column("invite_id", Id, ForeignKey("contract_invites.id", ondelete="CASCADE")),
    Column("link_hash", String(64), nullable=False, unique=True),
    Column("maker_kind", String(20), nullable=False),
    Column("maker_id", Id, nullable=False),  # no foreign key: empty for the command line
    Column("maker_name", String(320), nullable=False),
    Column("shown", Boolean, nullable=False),  # to its maker, whose rights then bound what it can do
    at("created_at"),
    at("expires_at"),
    UniqueConstraint("user_id"),
    UniqueConstraint("invite_id"),
    Index("setup_links_tenant_id_idx", "tenant_id"),
    Index("setup_links_expires_at_idx", "expires_at"),
)
