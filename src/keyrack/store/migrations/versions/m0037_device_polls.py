"""Consents that wait for a person to enter a code on some device."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "device_polls",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["consents.id"], name=op.f("device_polls_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("device_polls_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("device_polls_pkey")),
    )
    op.create_index("device_polls_due_at_idx", "device_polls", ["due_at"])


def downgrade() -> None:
    """Drop it; consents that wait are never finished."""
    op.drop_table("device_polls")
