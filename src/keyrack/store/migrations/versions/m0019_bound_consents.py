"""Consents that only one browser may finish, and what a second delivery of their callback is told."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a consent that is under way is bound to no browser."""
    op.add_column("consents", sa.Column("link_hash", sa.String(64), nullable=True))
    op.add_column("consents", sa.Column("browser_hash", sa.String(64), nullable=True))
    op.add_column("consents", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.create_index("consents_link_hash_key", "consents", ["link_hash"], unique=True)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("consents_link_hash_key", "consents")
    for name in ("ended_at", "browser_hash", "link_hash"):
        op.drop_column("consents", name)
