"""The queue of due secrets says whose they are: SQLite passes by one tenant's long queue without reading rows."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_NAME, _TABLE = "auth_secrets_due_at_idx", "auth_secrets"
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    """Make the index anew, with more columns."""
    op.drop_index(_NAME, _TABLE)
    op.create_index(_NAME, _TABLE, ["due_at", "tenant_id", "failed_at"], postgresql_where=_DUE, sqlite_where=_DUE)


def downgrade() -> None:
    """Make it as it was."""
    op.drop_index(_NAME, _TABLE)
    op.create_index(_NAME, _TABLE, ["due_at"], postgresql_where=_DUE, sqlite_where=_DUE)
