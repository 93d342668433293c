"""How the pages look on which people connect accounts for a tenant."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create the table; the pages look as before."""
    op.create_table(
        "connect_themes",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("accent_color", sa.String(length=7), nullable=True),
        sa.Column("shows_keyrack", sa.Boolean(), nullable=False),
        sa.Column("return_origins", _DOCUMENT, nullable=False),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column("logo_digest", sa.String(length=64), nullable=True),
        sa.Column("logo_type", sa.String(length=20), nullable=True),
        sa.Column("logo_width", sa.Integer(), nullable=True),
        sa.Column("logo_height", sa.Integer(), nullable=True),
        sa.Column("logo_size", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("connect_themes_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("connect_themes_pkey")),
        sa.UniqueConstraint("logo_digest", name=op.f("connect_themes_logo_digest_key")),
    )


def downgrade() -> None:
    """Drop it; the pages look as we made them."""
    op.drop_table("connect_themes")
