"""Links with which people without an account connect one (decision 26)."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from keyrack.store.schema.base import Id, at, belongs_to, metadata, own_id, tenant

connect_links = Table(
    "connect_links",
    metadata,
    own_id(),
    tenant(),
    belongs_to("workspace_id", "workspaces.id"),
    belongs_to("user_id", "users.id"),  # the maker
    Column("link_hash", String(64), nullable=False, unique=True),
    Column("status", String(20), nullable=False),
    Column("sealed_wanted", LargeBinary, nullable=False),
    Column("opener_origin", Text),
    Column("consent_id", Id),  # no foreign key: consents are forgotten on their own
    Column("browser_hash", String(64)),
    Column("error", Text),
    Column("result_id", Id),
    at("created_at"),
    at("expires_at"),
    at("consent_expires_at", nullable=True),
    at("ended_at", nullable=True),
    Index("connect_links_tenant_id_idx", "tenant_id"),
    Index("connect_links_workspace_id_idx", "workspace_id"),
    Index("connect_links_user_id_idx", "user_id", "workspace_id", "tenant_id", "id"),
    Index("connect_links_expires_at_idx", "expires_at"),
)
