"""The foundation: tenants, people, components, OAuth clients, credentials, consents, flows, audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_type", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_events_pkey")),
    )
    op.create_index("audit_events_tenant_id_at_idx", "audit_events", ["tenant_id", "at", "id"], unique=False)
    op.create_table(
        "data_keys",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("kek_id", sa.String(length=255), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("data_keys_pkey")),
    )
    op.create_index(op.f("data_keys_tenant_id_idx"), "data_keys", ["tenant_id"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed_check", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("installation_pkey")),
    )
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("username", sa.String(length=320), nullable=False),
        sa.Column("permissions", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("service_accounts_pkey")),
        sa.UniqueConstraint("username", name=op.f("service_accounts_username_key")),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("app_domain", sa.String(length=255), nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
        sa.UniqueConstraint("app_domain", name=op.f("tenants_app_domain_key")),
    )
    op.create_table(
        "contracts",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("available_roles", DOCUMENT, nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.Column("custom_data", DOCUMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("contracts_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("contracts_pkey")),
    )
    op.create_index("contracts_tenant_id_idx", "contracts", ["tenant_id", "id"], unique=False)
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("sealed_client_id", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_client_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("oauth_clients_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("oauth_clients_pkey")),
        sa.UniqueConstraint("tenant_id", "component_id", name=op.f("oauth_clients_tenant_id_component_id_key")),
    )
    op.create_table(
        "roles",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("permissions", DOCUMENT, nullable=False),
        sa.Column("i18n", DOCUMENT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("roles_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "scope", "role", name=op.f("roles_pkey")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_key", sa.String(length=320), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("tenant_roles", DOCUMENT, nullable=False),
        sa.Column("registered", sa.BigInteger(), nullable=False),
        sa.Column("last_login", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("users_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("email_key", name=op.f("users_email_key_key")),
    )
    op.create_index("users_tenant_id_idx", "users", ["tenant_id", "id"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("service_account_id", sa.String(length=24), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["service_account_id"],
            ["service_accounts.id"],
            name=op.f("api_keys_service_account_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("api_keys_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_keys_key_hash_key")),
    )
    op.create_index(op.f("api_keys_service_account_id_idx"), "api_keys", ["service_account_id"], unique=False)
    op.create_index(op.f("api_keys_user_id_idx"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "contract_members",
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("roles", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("contract_members_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("contract_members_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("contract_members_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contract_id", "user_id", name=op.f("contract_members_pkey")),
    )
    op.create_index("contract_members_user_id_idx", "contract_members", ["user_id"], unique=False)
    op.create_table(
        "teams",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("teams_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("teams_tenant_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("teams_pkey")),
        sa.UniqueConstraint("name", name=op.f("teams_name_key")),
    )
    op.create_index("teams_tenant_id_contract_id_idx", "teams", ["tenant_id", "contract_id"], unique=False)
    op.create_table(
        "workspaces",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("workspaces_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("workspaces_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("workspaces_pkey")),
    )
    op.create_index(
        "workspaces_tenant_id_contract_id_idx", "workspaces", ["tenant_id", "contract_id", "id"], unique=False
    )
    op.create_table(
        "components",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("team_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("access", sa.String(length=20), nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.Column("latest_revision", sa.String(length=40), nullable=True),
        sa.Column("latest_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("components_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("components_team_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("components_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("components_pkey")),
        sa.UniqueConstraint("team_id", "name", name=op.f("components_team_id_name_key")),
    )
    op.create_index("components_access_idx", "components", ["access"], unique=False)
    op.create_index("components_tenant_id_contract_id_idx", "components", ["tenant_id", "contract_id"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("credential_id", sa.String(length=24), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result_id", sa.String(length=24), nullable=True),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_memory", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("consents_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("consents_user_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("consents_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("consents_pkey")),
        sa.UniqueConstraint("state_hash", name=op.f("consents_state_hash_key")),
    )
    op.create_index("consents_expires_at_idx", "consents", ["expires_at"], unique=False)
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed_keys", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("credentials_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("credentials_user_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("credentials_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("credentials_pkey")),
    )
    op.create_index(
        "credentials_tenant_id_component_id_idx", "credentials", ["tenant_id", "component_id"], unique=False
    )
    op.create_index(
        "credentials_tenant_id_workspace_id_idx", "credentials", ["tenant_id", "workspace_id", "id"], unique=False
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("current_status", sa.String(length=20), nullable=False),
        sa.Column("graph", DOCUMENT, nullable=False),
        sa.Column("attributes", DOCUMENT, nullable=False),
        sa.Column("draft", DOCUMENT, nullable=True),
        sa.Column("latest_version", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_start_time", sa.BigInteger(), nullable=True),
        sa.Column("last_stop_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("flows_tenant_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("flows_user_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("flows_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("flows_pkey")),
    )
    op.create_index("flows_tenant_id_workspace_id_idx", "flows", ["tenant_id", "workspace_id", "id"], unique=False)
    op.create_table(
        "team_members",
        sa.Column("team_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("team_members_team_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("team_members_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("team_members_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("team_members_pkey")),
    )
    op.create_index("team_members_user_id_idx", "team_members", ["user_id"], unique=False)
    op.create_table(
        "workspace_members",
        sa.Column("workspace_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("roles", DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("workspace_members_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("workspace_members_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("workspace_members_workspace_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("workspace_members_pkey")),
    )
    op.create_index("workspace_members_user_id_idx", "workspace_members", ["user_id"], unique=False)
    op.create_table(
        "component_env",
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("sealed_vars", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["components.id"], name=op.f("component_env_component_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("component_env_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("component_id", name=op.f("component_env_pkey")),
    )
    op.create_table(
        "component_versions",
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("descriptor", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["components.id"], name=op.f("component_versions_component_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("component_versions_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("component_id", "revision", name=op.f("component_versions_pkey")),
        sa.UniqueConstraint("component_id", "number", name=op.f("component_versions_component_id_number_key")),
    )
    op.create_table(
        "component_whitelists",
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("contract_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["components.id"], name=op.f("component_whitelists_component_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("component_whitelists_contract_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("component_whitelists_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("component_id", "contract_id", name=op.f("component_whitelists_pkey")),
    )
    op.create_table(
        "flow_credentials",
        sa.Column("flow_id", sa.String(length=24), nullable=False),
        sa.Column("credential_id", sa.String(length=24), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name=op.f("flow_credentials_flow_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("flow_credentials_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_id", "credential_id", name=op.f("flow_credentials_pkey")),
    )
    op.create_index("flow_credentials_credential_id_idx", "flow_credentials", ["credential_id"], unique=False)
    op.create_table(
        "flow_references",
        sa.Column("flow_id", sa.String(length=24), nullable=False),
        sa.Column("place", sa.String(length=10), nullable=False),
        sa.Column("component_id", sa.String(length=24), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name=op.f("flow_references_flow_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("flow_references_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_id", "place", "component_id", "revision", name=op.f("flow_references_pkey")),
    )
    op.create_index("flow_references_component_id_idx", "flow_references", ["component_id", "tenant_id"], unique=False)
    op.create_table(
        "flow_versions",
        sa.Column("flow_id", sa.String(length=24), nullable=False),
        sa.Column("hash", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("graph", DOCUMENT, nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("flow_versions_flow_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("flow_versions_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("flow_versions_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_id", "hash", name=op.f("flow_versions_pkey")),
        sa.UniqueConstraint("flow_id", "number", name=op.f("flow_versions_flow_id_number_key")),
    )


def downgrade() -> None:
    """Drop all tables."""
    op.drop_table("flow_versions")
    op.drop_index("flow_references_component_id_idx", table_name="flow_references")
    op.drop_table("flow_references")
    op.drop_index("flow_credentials_credential_id_idx", table_name="flow_credentials")
    op.drop_table("flow_credentials")
    op.drop_table("component_whitelists")
    op.drop_table("component_versions")
    op.drop_table("component_env")
    op.drop_index("workspace_members_user_id_idx", table_name="workspace_members")
    op.drop_table("workspace_members")
    op.drop_index("team_members_user_id_idx", table_name="team_members")
    op.drop_table("team_members")
    op.drop_index("flows_tenant_id_workspace_id_idx", table_name="flows")
    op.drop_table("flows")
    op.drop_index("credentials_tenant_id_workspace_id_idx", table_name="credentials")
    op.drop_index("credentials_tenant_id_component_id_idx", table_name="credentials")
    op.drop_table("credentials")
    op.drop_index("consents_expires_at_idx", table_name="consents")
    op.drop_table("consents")
    op.drop_index("components_tenant_id_contract_id_idx", table_name="components")
    op.drop_index("components_access_idx", table_name="components")
    op.drop_table("components")
    op.drop_index("workspaces_tenant_id_contract_id_idx", table_name="workspaces")
    op.drop_table("workspaces")
    op.drop_index("teams_tenant_id_contract_id_idx", table_name="teams")
    op.drop_table("teams")
    op.drop_index("contract_members_user_id_idx", table_name="contract_members")
    op.drop_table("contract_members")
    op.drop_index(op.f("api_keys_user_id_idx"), table_name="api_keys")
    op.drop_index(op.f("api_keys_service_account_id_idx"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("users_tenant_id_idx", table_name="users")
    op.drop_table("users")
    op.drop_table("roles")
    op.drop_table("oauth_clients")
    op.drop_index("contracts_tenant_id_idx", table_name="contracts")
    op.drop_table("contracts")
    op.drop_table("tenants")
    op.drop_table("service_accounts")
    op.drop_table("installation")
    op.drop_index(op.f("data_keys_tenant_id_idx"), table_name="data_keys")
    op.drop_table("data_keys")
    op.drop_index("audit_events_tenant_id_at_idx", table_name="audit_events")
    op.drop_table("audit_events")
