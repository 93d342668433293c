"""Invites into contracts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "contract_invites",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_key", sa.String(length=320), nullable=False),
        sa.Column("roles", DOCUMENT, nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=True),
        sa.Column("workspace_roles", DOCUMENT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("contract_invites_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("contract_invites_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("contract_invites_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("contract_invites_pkey")),
        sa.UniqueConstraint("contract_id", "email_key", name=op.f("contract_invites_contract_id_email_key_key")),
    )
    op.create_index("contract_invites_tenant_id_email_key_idx", "contract_invites", ["tenant_id", "email_key"])
    op.create_index("contract_invites_workspace_id_idx", "contract_invites", ["workspace_id"])


def downgrade() -> None:
    """Drop it; nobody is invited any more."""
    op.drop_table("contract_invites")
