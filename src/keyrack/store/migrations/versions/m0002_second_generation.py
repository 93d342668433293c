"""The second generation: auth clients, auth secrets, the journal of attempts, events, and keys of task users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create the tables, and make room for them in those that exist."""
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("subject_id", sa.String(length=24), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("attempts_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attempts_pkey")),
    )
    op.create_index(
        "attempts_open_idx",
        "attempts",
        ["id"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
        sqlite_where=sa.text("settled_at IS NULL"),
    )
    op.create_index("attempts_subject_id_idx", "attempts", ["subject_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("events_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
    )
    op.create_index("events_tenant_id_idx", "events", ["tenant_id", "id"], unique=False)
    op.create_table(
        "auth_clients",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=True),
        sa.Column("workspace_id", sa.String(length=24), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("sealed_credentials", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(length=512), nullable=True),
        sa.Column("learned_lifetime", sa.Integer(), nullable=True),
        sa.Column("rejection", DOCUMENT, nullable=True),
        sa.Column("rejected_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("auth_clients_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("auth_clients_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("auth_clients_pkey")),
    )
    op.create_index("auth_clients_contract_id_idx", "auth_clients", ["contract_id"], unique=False)
    op.create_index("auth_clients_tenant_id_idx", "auth_clients", ["tenant_id", "id"], unique=False)
    op.create_index("auth_clients_workspace_id_idx", "auth_clients", ["workspace_id"], unique=False)
    op.create_table(
        "auth_client_components",
        sa.Column("auth_client_id", sa.String(length=24), nullable=False),
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["auth_client_id"],
            ["auth_clients.id"],
            name=op.f("auth_client_components_auth_client_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["component_id"],
            ["components.id"],
            name=op.f("auth_client_components_component_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("auth_client_id", "component_id", name=op.f("auth_client_components_pkey")),
    )
    op.create_index("auth_client_components_component_id_idx", "auth_client_components", ["component_id"], unique=False)
    op.create_table(
        "auth_secrets",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("auth_client_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("sealed_credentials", sa.LargeBinary(), nullable=False),
        sa.Column("auth_method", sa.String(length=40), nullable=True),
        sa.Column("refreshable", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error_at", sa.BigInteger(), nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=True),
        sa.Column("ambiguous_since", sa.BigInteger(), nullable=True),
        sa.Column("failure", DOCUMENT, nullable=True),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["auth_client_id"],
            ["auth_clients.id"],
            name=op.f("auth_secrets_auth_client_id_fkey"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("auth_secrets_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("auth_secrets_user_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("auth_secrets_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("auth_secrets_pkey")),
    )
    op.create_index("auth_secrets_auth_client_id_idx", "auth_secrets", ["auth_client_id", "id"], unique=False)
    op.create_index(
        "auth_secrets_due_at_idx",
        "auth_secrets",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "auth_secrets_tenant_id_workspace_id_idx", "auth_secrets", ["tenant_id", "workspace_id", "id"], unique=False
    )
    op.create_index("auth_secrets_user_id_idx", "auth_secrets", ["user_id"], unique=False)
    op.create_table(
        "flow_secrets",
        sa.Column("flow_id", sa.String(length=24), nullable=False),
        sa.Column("secret_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("flow_secrets_flow_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("flow_secrets_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_id", "secret_id", name=op.f("flow_secrets_pkey")),
    )
    op.create_index("flow_secrets_secret_id_idx", "flow_secrets", ["secret_id"], unique=False)
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.add_column(sa.Column("flow_id", sa.String(length=24), nullable=True))
        batch_op.create_index(batch_op.f("api_keys_flow_id_idx"), ["flow_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("api_keys_flow_id_fkey"), "flows", ["flow_id"], ["id"], ondelete="CASCADE"
        )

    with op.batch_alter_table("consents") as batch_op:
        batch_op.add_column(sa.Column("auth_client_id", sa.String(length=24), nullable=True))
        batch_op.add_column(sa.Column("auth_secret_id", sa.String(length=24), nullable=True))
        batch_op.alter_column("component_id", existing_type=sa.String(length=24), nullable=True)


def downgrade() -> None:
    """Drop the tables and what made room for them."""
    with op.batch_alter_table("consents") as batch_op:
        batch_op.drop_column("auth_secret_id")
        batch_op.drop_column("auth_client_id")
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.drop_index(op.f("api_keys_flow_id_idx"))
        batch_op.drop_column("flow_id")
    for table in ("flow_secrets", "auth_secrets", "auth_client_components", "auth_clients", "events", "attempts"):
        op.drop_table(table)
