"""What is counted for the audit logs by the hour, such as reads of tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_TEXTS = (("actor", 320), ("actor_kind", 20), ("action", 64), ("target_type", 64), ("target_id", 64), ("outcome", 20))


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("audit_events", sa.Column("times", sa.BigInteger(), nullable=True))
    op.add_column("audit_events", sa.Column("first_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "audit_counts",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(length=length), nullable=False) for name, length in _TEXTS),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "hour", *(name for name, _ in _TEXTS), "address", name=op.f("audit_counts_pkey")
        ),
    )
    op.create_index("audit_counts_hour_idx", "audit_counts", ["hour"])


def downgrade() -> None:
    """Drop them, and the events that were counted: without their numbers they would say something else."""
    op.drop_table("audit_counts")
    op.execute("DELETE FROM audit_events WHERE times IS NOT NULL")
    op.drop_column("audit_events", "first_at")
    op.drop_column("audit_events", "times")
