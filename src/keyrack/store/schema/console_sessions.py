"""Sessions of people who are signed in to the console (decision 28)."""

from sqlalchemy import Column, Index, String, Table

from keyrack.store.schema.base import at, belongs_to, metadata, own_id, tenant

console_sessions = Table(
    "console_sessions",
    metadata,
    own_id(),
    tenant(),
    belongs_to("user_id", "users.id"),
    Column("session_hash", String(64), nullable=False, unique=True),
    Column("address", String(64)),  # from where it was used last
    Column("browser", String(300), nullable=False),  # what the browser said of itself at sign-in
    at("created_at"),
    at("seen_at"),
    Index("console_sessions_tenant_id_idx", "tenant_id"),
    Index("console_sessions_user_id_idx", "user_id", "created_at"),
    Index("console_sessions_seen_at_idx", "seen_at"),
)
