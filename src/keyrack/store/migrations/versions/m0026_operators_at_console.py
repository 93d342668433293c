"""Passwords and console sessions of service accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)


def upgrade() -> None:
    """Let a session belong to a service account; whoever is signed in signs in anew."""
    op.add_column("service_accounts", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("service_accounts", sa.Column("password_set_at", sa.BigInteger(), nullable=True))
    op.drop_table("console_sessions")
    _create_sessions(
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("service_account_id", _ID, nullable=True),
        _goes_with("service_account_id", "service_accounts"),
    )
    op.create_index("console_sessions_service_account_id_idx", "console_sessions", ["service_account_id", "created_at"])


def downgrade() -> None:
    """Leave the console to users; everybody is signed out."""
    op.drop_table("console_sessions")
    _create_sessions(sa.Column("user_id", _ID, nullable=False), _goes_with("tenant_id", "tenants"))
    op.drop_column("service_accounts", "password_set_at")
    op.drop_column("service_accounts", "password_hash")


def _create_sessions(*owner: "sa.Column[str] | sa.Constraint") -> None:
    op.create_table(
        "console_sessions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        *owner,
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("browser", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        _goes_with("user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("console_sessions_pkey")),
        sa.UniqueConstraint("session_hash", name=op.f("console_sessions_session_hash_key")),
    )
    op.create_index("console_sessions_tenant_id_idx", "console_sessions", ["tenant_id"])
    op.create_index("console_sessions_user_id_idx", "console_sessions", ["user_id", "created_at"])
    op.create_index("console_sessions_seen_at_idx", "console_sessions", ["seen_at"])


def _goes_with(column: str, parent: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"console_sessions_{column}_fkey")
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=name, ondelete="CASCADE")
