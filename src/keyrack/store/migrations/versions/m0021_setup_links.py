"""One-time links for first API keys, mails that carry them, and which accounts are in use already."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)
_DUE = sa.text("due_at IS NOT NULL")
_IN_USE = """
UPDATE users SET set_up_at = registered
WHERE last_login IS NOT NULL
   OR id IN (SELECT user_id FROM api_keys WHERE user_id IS NOT NULL)
   OR email IN (SELECT actor FROM audit_events WHERE actor_kind = 'user')
"""


def upgrade() -> None:
    """Create the tables; who has a key, or has done anything, has an account in use."""
    op.add_column("users", sa.Column("set_up_at", sa.BigInteger(), nullable=True))
    op.execute(_IN_USE)
    op.add_column("events", sa.Column("sealed_data", sa.LargeBinary(), nullable=True))
    op.create_table(
        "setup_links",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("invite_id", _ID, nullable=True),
        sa.Column("link_hash", sa.String(length=64), nullable=False),
        sa.Column("maker_kind", sa.String(length=20), nullable=False),
        sa.Column("maker_id", _ID, nullable=False),
        sa.Column("maker_name", sa.String(length=320), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        _goes_with("setup_links", "tenant_id", "tenants"),
        _goes_with("setup_links", "user_id", "users"),
        _goes_with("setup_links", "invite_id", "contract_invites"),
        sa.PrimaryKeyConstraint("id", name=op.f("setup_links_pkey")),
        sa.UniqueConstraint("link_hash", name=op.f("setup_links_link_hash_key")),
        sa.UniqueConstraint("user_id", name=op.f("setup_links_user_id_key")),
        sa.UniqueConstraint("invite_id", name=op.f("setup_links_invite_id_key")),
    )
    op.create_index("setup_links_tenant_id_idx", "setup_links", ["tenant_id"])
    op.create_index("setup_links_expires_at_idx", "setup_links", ["expires_at"])
    op.create_table(
        "mails",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("target_type", sa.String(length=64), nullable=False),
        sa.Column("target_id", _ID, nullable=False),
        sa.Column("sealed_mail", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claim", _ID, nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        _goes_with("mails", "tenant_id", "tenants"),
        sa.PrimaryKeyConstraint("id", name=op.f("mails_pkey")),
    )
    op.create_index("mails_tenant_id_created_at_idx", "mails", ["tenant_id", "created_at"])
    op.create_index("mails_finished_at_idx", "mails", ["finished_at"])
    op.create_index("mails_due_at_idx", "mails", ["due_at"], postgresql_where=_DUE, sqlite_where=_DUE)


def downgrade() -> None:
    """Drop them; links that are open end."""
    op.drop_table("mails")
    op.drop_table("setup_links")
    op.drop_column("events", "sealed_data")
    op.drop_column("users", "set_up_at")


def _goes_with(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE")
