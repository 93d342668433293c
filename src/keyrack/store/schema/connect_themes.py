"""How the pages look on which people connect accounts for a tenant (decision 36)."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from keyrack.store.schema.base import Document, Id, metadata

connect_themes = Table(
    "connect_themes",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("display_name", Text),
    Column("accent_color", String(7)),
    Column("shows_keyrack", Boolean, nullable=False),
    Column("return_origins", Document, nullable=False),
    Column("logo", LargeBinary),
    Column("logo_digest", String(64), unique=True),
    Column("logo_type", String(20)),
    Column("logo_width", Integer),
    Column("logo_height", Integer),
    Column("logo_size", Integer),
)
