"""Clients that were deleted are kept for a time, to be restored."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nothing was deleted yet that could be restored."""
    op.create_table(
        "deleted_clients",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=True),
        sa.Column("workspace_id", sa.String(length=24), nullable=True),
        sa.Column("component_id", sa.String(length=24), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("sealed_client", sa.LargeBinary(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("deleted_clients_pkey")),
    )
    op.create_index("deleted_clients_ends_at_idx", "deleted_clients", ["ends_at", "id"])
    op.create_index("deleted_clients_tenant_id_idx", "deleted_clients", ["tenant_id", "id"])


def downgrade() -> None:
    """Drop it: what was deleted is deleted for good."""
    op.drop_index("deleted_clients_tenant_id_idx", "deleted_clients")
    op.drop_index("deleted_clients_ends_at_idx", "deleted_clients")
    op.drop_table("deleted_clients")
