"""Authenticator apps, and sign-ins to the console that wait for a code."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)
_DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create the tables; nobody is asked for a code yet."""
    op.create_table(
        "authenticators",
        *_of("authenticators"),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("wrong_codes", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("recovery_hashes", _DOCUMENT, nullable=False),
        sa.UniqueConstraint("user_id", name=op.f("authenticators_user_id_key")),
        sa.UniqueConstraint("service_account_id", name=op.f("authenticators_service_account_id_key")),
    )
    op.create_index("authenticators_tenant_id_idx", "authenticators", ["tenant_id"])
    op.create_table(
        "pending_sign_ins",
        *_of("pending_sign_ins"),
        sa.Column("cookie_hash", sa.String(length=64), nullable=False),
        sa.Column("password_set_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("cookie_hash", name=op.f("pending_sign_ins_cookie_hash_key")),
    )
    for column in ("tenant_id", "user_id", "service_account_id", "created_at"):
        op.create_index(f"pending_sign_ins_{column}_idx", "pending_sign_ins", [column])


def downgrade() -> None:
    """Drop them; the password alone is enough again."""
    op.drop_table("pending_sign_ins")
    op.drop_table("authenticators")


def _of(table: str) -> list["sa.Column[str] | sa.Constraint"]:
    return [
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("service_account_id", _ID, nullable=True),
        _goes_with(table, "user_id", "users"),
        _goes_with(table, "service_account_id", "service_accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{table}_pkey")),
    ]


def _goes_with(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE")
