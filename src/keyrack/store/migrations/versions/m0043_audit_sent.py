"""How far the audit logs have been sent to a collector."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "audit_sent",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("audit_sent_pkey")),
    )


def downgrade() -> None:
    """Drop it; everything is sent again after the next upgrade."""
    op.drop_table("audit_sent")
