"""Refreshes counted by time, the processes that run, and an index of grants in trouble."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the index."""
    trouble = sa.text("(state = 'error' OR failed_at IS NOT NULL)")
    op.create_index("auth_secrets_trouble_idx", "auth_secrets", ["id"], postgresql_where=trouble, sqlite_where=trouble)
    ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "refresh_counts",
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("origin", ordered, nullable=False),
        sa.Column("result", sa.String(length=40), nullable=False),
        sa.Column("refreshes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span", "began_at", "origin", "result", name=op.f("refresh_counts_pkey")),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("roles", document, nullable=False),
        sa.Column("state", document, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("processes_pkey")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("processes")
    op.drop_table("refresh_counts")
    op.drop_index("auth_secrets_trouble_idx", "auth_secrets")
