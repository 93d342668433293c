"""Clients have two live secrets while one is rotated."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_TABLES = ("oauth_clients", "auth_clients")
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the columns; no secret is being rotated yet."""
    for table in _TABLES:
        op.add_column(table, sa.Column("sealed_second_secret", sa.LargeBinary(), nullable=True))
        op.add_column(table, sa.Column("rotation", _DOCUMENT, nullable=True))
        op.add_column(table, sa.Column("rotation_due_at", sa.BigInteger(), nullable=True))
        is_set = sa.text("rotation_due_at IS NOT NULL")
        columns = ["rotation_due_at", "tenant_id"]
        op.create_index(f"{table}_rotation_due_at_idx", table, columns, postgresql_where=is_set, sqlite_where=is_set)


def downgrade() -> None:
    """Drop them; the secrets that are in use stay, and the others are forgotten."""
    for table in _TABLES:
        op.drop_index(f"{table}_rotation_due_at_idx", table)
        for name in ("rotation_due_at", "rotation", "sealed_second_secret"):
            op.drop_column(table, name)
