"""Sessions of the console, and since when a password is its owner's."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)


def upgrade() -> None:
    """Create the table; passwords that users were created with let nobody in."""
    op.add_column("users", sa.Column("password_set_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "console_sessions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("browser", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        _goes_with("tenant_id", "tenants"),
        _goes_with("user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("console_sessions_pkey")),
        sa.UniqueConstraint("session_hash", name=op.f("console_sessions_session_hash_key")),
    )
    op.create_index("console_sessions_tenant_id_idx", "console_sessions", ["tenant_id"])
    op.create_index("console_sessions_user_id_idx", "console_sessions", ["user_id", "created_at"])
    op.create_index("console_sessions_seen_at_idx", "console_sessions", ["seen_at"])


def downgrade() -> None:
    """Drop it; whoever is signed in is signed out."""
    op.drop_table("console_sessions")
    op.drop_column("users", "password_set_at")


def _goes_with(column: str, parent: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"console_sessions_{column}_fkey")
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=name, ondelete="CASCADE")
