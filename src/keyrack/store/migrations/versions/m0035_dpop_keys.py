"""Keys that tokens are bound to (RFC 9449)."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; tokens so far are not bound to anything."""
    op.add_column("auth_secrets", sa.Column("sealed_dpop_key", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Drop it; bound tokens can then no longer be used."""
    op.drop_column("auth_secrets", "sealed_dpop_key")
