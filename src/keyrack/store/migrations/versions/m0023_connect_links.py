"""Links with which people without an account connect one."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "connect_links",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("workspace_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("link_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("sealed_wanted", sa.LargeBinary(), nullable=False),
        sa.Column("opener_origin", sa.Text(), nullable=True),
        sa.Column("consent_id", _ID, nullable=True),
        sa.Column("browser_hash", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result_id", _ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("consent_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        _goes_with("connect_links", "tenant_id", "tenants"),
        _goes_with("connect_links", "workspace_id", "workspaces"),
        _goes_with("connect_links", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("connect_links_pkey")),
        sa.UniqueConstraint("link_hash", name=op.f("connect_links_link_hash_key")),
    )
    for column in ("tenant_id", "workspace_id", "user_id", "expires_at"):
        op.create_index(f"connect_links_{column}_idx", "connect_links", [column])


def downgrade() -> None:
    """Drop it; links that are open end."""
    op.drop_table("connect_links")


def _goes_with(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE")
