"""What is frozen while an incident is contained, and what became of each grant."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the tables; nothing is frozen."""
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=512), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("freezes_pkey")),
    )
    holds = sa.text("lifted_at IS NULL")
    op.create_index(
        "freezes_active_idx", "freezes", ["kind", "target"], unique=True, postgresql_where=holds, sqlite_where=holds
    )
    op.create_table(
        "contained_grants",
        sa.Column("freeze_id", sa.String(length=24), nullable=False),
        sa.Column("secret_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("facts", _DOCUMENT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["freeze_id"], ["freezes.id"], name=op.f("contained_grants_freeze_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("contained_grants_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("freeze_id", "tenant_id", "secret_id", name=op.f("contained_grants_pkey")),
    )
    op.create_index("contained_grants_tenant_id_idx", "contained_grants", ["tenant_id"])


def downgrade() -> None:
    """Drop them: what is frozen is read again."""
    op.drop_index("contained_grants_tenant_id_idx", "contained_grants")
    op.drop_table("contained_grants")
    op.drop_index("freezes_active_idx", "freezes")
    op.drop_table("freezes")
