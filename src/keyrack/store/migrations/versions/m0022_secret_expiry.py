"""When the secrets of clients end, and when that is told next."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLES = ("oauth_clients", "auth_clients")
_COLUMNS = ("secret_expires_at", "reminder_at")


def upgrade() -> None:
    """Add the columns and their indexes; of no secret is known yet when it ends."""
    for table in _TABLES:
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))
            index, columns, is_set = f"{table}_{name}_idx", [name, "tenant_id"], sa.text(f"{name} IS NOT NULL")
            op.create_index(index, table, columns, postgresql_where=is_set, sqlite_where=is_set)


def downgrade() -> None:
    """Drop them."""
    for table in _TABLES:
        for name in _COLUMNS:
            op.drop_index(f"{table}_{name}_idx", table)
            op.drop_column(table, name)
