"""What is over is found by when it ended: attempts whose fate is settled, so that they can be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NAME = "attempts_settled_at_idx"


def upgrade() -> None:
    """Add the index."""
    settled = sa.text("settled_at IS NOT NULL")
    op.create_index(_NAME, "attempts", ["settled_at"], postgresql_where=settled, sqlite_where=settled)


def downgrade() -> None:
    """Drop it."""
    op.drop_index(_NAME, "attempts")
