"""Webhooks, their deliveries, revocations at the provider; tenant admins may manage webhooks."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

PERMISSIONS = ("tenants.webhooks.get", "tenants.webhooks.create", "tenants.webhooks.edit", "tenants.webhooks.delete")
ROLES = sa.table(
    "roles",
    sa.column("tenant_id", sa.String),
    sa.column("scope", sa.String),
    sa.column("role", sa.String),
    sa.column("permissions", DOCUMENT),
)


def upgrade() -> None:
    """Create the tables, and give the tenant admins of existing tenants their permissions."""
    op.create_index("events_created_at_idx", "events", ["created_at"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sealed_url", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_keys", sa.LargeBinary(), nullable=False),
        sa.Column("event_types", DOCUMENT, nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("webhooks_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
    )
    op.create_index("webhooks_tenant_id_idx", "webhooks", ["tenant_id", "id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("webhook_id", sa.String(length=24), nullable=False),
        sa.Column("event_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claim", sa.String(length=24), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("deliveries_event_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("deliveries_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("deliveries_webhook_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("webhook_id", "event_id", name=op.f("deliveries_pkey")),
    )
    _index_due("deliveries")
    op.create_index("deliveries_event_id_idx", "deliveries", ["event_id"], unique=False)
    op.create_index("deliveries_finished_at_idx", "deliveries", ["finished_at"], unique=False)
    op.create_table(
        "revocations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("secret_id", sa.String(length=24), nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("auth_client_id", sa.String(length=24), nullable=False),
        sa.Column("sealed_order", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claim", sa.String(length=24), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("revocations_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("revocations_pkey")),
    )
    _index_due("revocations")
    op.create_index("revocations_finished_at_idx", "revocations", ["finished_at"], unique=False)
    _change_tenant_admins(lambda held: sorted({*held, *PERMISSIONS}))


def downgrade() -> None:
    """Take the permissions back and drop the tables."""
    _change_tenant_admins(lambda held: [name for name in held if name not in PERMISSIONS])
    for table in ("revocations", "deliveries", "webhooks"):
        op.drop_table(table)
    op.drop_index("events_created_at_idx", "events")


def _index_due(table: str) -> None:
    op.create_index(
        f"{table}_due_at_idx",
        table,
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )


def _change_tenant_admins(change: Callable[[list[str]], list[str]]) -> None:
    connection = op.get_bind()
    r = ROLES.c
    of_admins = (r.scope == "tenants") & (r.role == "tenant-admin")
    for tenant_id, held in connection.execute(sa.select(r.tenant_id, r.permissions).where(of_admins)).all():
        update = sa.update(ROLES).where(of_admins, r.tenant_id == tenant_id)
        connection.execute(update.values(permissions=change(held)))
