"""Tenants, people, components, OAuth clients, credentials, consents, flows."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from keyrack.store.schema.base import (
    Document,
    EmailKey,
    Id,
    Ordered,
    at,
    belongs_to,
    indexed_where_set,
    metadata,
    own_id,
    rotation_columns,
    tenant,
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sealed_check", LargeBinary, nullable=False),
    Column("sealed_form_key", LargeBinary),  # made when it is first needed
    at("created_at"),
)

data_keys = Table(
    "data_keys",
    metadata,
    own_id(),
    Column("tenant_id", Id, nullable=False, index=True),  # empty for the installation
    Column("kek_id", String(255), nullable=False, index=True),
    Column("wrapped", LargeBinary, nullable=False),
    at("created_at"),
    at("wrapped_at", nullable=True),  # null: when it was created
)

tenants = Table(
    "tenants",
    metadata,
    own_id(),
    Column("name", Text, nullable=False),
    Column("app_domain", String(255), nullable=False, unique=True),
    Column("attributes", Document, nullable=False),
    Column("is_default", Boolean),  # true or null, so that one at most is (contract section 7); from the attributes
    at("created_at"),
    Index("tenants_is_default_key", "is_default", unique=True),
)

roles = Table(
    "roles",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", String(20), primary_key=True),
    Column("role", String(255), primary_key=True),
    Column("permissions", Document, nullable=False),
    Column("i18n", Document, nullable=False),
    Column("position", Integer, nullable=False),
)

users = Table(
    "users",
    metadata,
    own_id(),
    tenant(),
    Column("email", String(320), nullable=False),
    Column("email_key", EmailKey, nullable=False, unique=True),
    Column("email_domain", String(320)),  # of the key
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("company", Text),
    Column("password_hash", Text),
    at("password_set_at", nullable=True),  # null: somebody else chose it (decision 28)
    Column("tenant_roles", Document, nullable=False),
    at("registered"),
    at("last_login", nullable=True),
    at("set_up_at", nullable=True),  # when the account was first taken into use: its first API key (decision 24)
    Index("users_tenant_id_idx", "tenant_id", "id"),
    Index("users_email_domain_idx", "email_domain", "tenant_id"),  # where a domain is in use (decision 31)
    Index("users_tenant_id_email_key_idx", "tenant_id", "email_key"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    own_id(),
    Column("username", String(320), nullable=False, unique=True),
    Column("permissions", Document, nullable=False),
    Column("password_hash", Text),  # with which it signs in to the console (decision 30)
    at("password_set_at", nullable=True),
    at("created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    own_id(),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("service_account_id", Id, ForeignKey("service_accounts.id", ondelete="CASCADE"), index=True),
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), index=True),  # of a task user (contract 0.16)
    Column("name", String(255), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    at("created_at"),
    at("expires_at", nullable=True),
    at("last_used_at", nullable=True),
)

contracts = Table(
    "contracts",
    metadata,
    own_id(),
    tenant(),
    Column("name", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("available_roles", Document, nullable=False),
    Column("attributes", Document, nullable=False),
    Column("custom_data", Document),
    Index("contracts_tenant_id_idx", "tenant_id", "id"),
)

contract_members = Table(
    "contract_members",
    metadata,
    Column("contract_id", Id, ForeignKey("contracts.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Column("roles", Document, nullable=False),
    Index("contract_members_user_id_idx", "user_id"),
)

workspaces = Table(
    "workspaces",
    metadata,
    own_id(),
    tenant(),
    belongs_to("contract_id", "contracts.id"),
    Column("name", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("attributes", Document, nullable=False),
    Index("workspaces_tenant_id_idx", "tenant_id", "id"),
    Index("workspaces_contract_id_idx", "contract_id", "tenant_id", "id"),
)

workspace_members = Table(
    "workspace_members",
    metadata,
    Column("workspace_id", Id, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Column("roles", Document, nullable=False),
    Index("workspace_members_user_id_idx", "user_id"),
)

teams = Table(
    "teams",
    metadata,
    own_id(),
    tenant(),
    belongs_to("contract_id", "contracts.id"),
    Column("name", String(255), nullable=False, unique=True),
    Column("sealed_docker_registry", LargeBinary),
    Index("teams_contract_id_idx", "contract_id", "id"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("team_id", Id, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Index("team_members_user_id_idx", "user_id"),
)

components = Table(
    "components",
    metadata,
    own_id(),
    tenant(),
    belongs_to("contract_id", "contracts.id"),
    belongs_to("team_id", "teams.id"),
    Column("name", String(255), nullable=False),
    Column("access", String(20), nullable=False),
    Column("attributes", Document, nullable=False),
    Column("latest_revision", String(40)),
    Column("latest_number", Integer, nullable=False),
    Column("uses_oauth_client", Boolean, nullable=False, server_default=false()),  # the latest build (section 5)
    UniqueConstraint("team_id", "name"),
    # One for each part of what a place has (section 5), with all that decides about it.
    Index("components_contract_id_idx", "contract_id", "id"),
    Index("components_tenant_id_idx", "tenant_id", "access", "id", "contract_id"),
    Index("components_access_idx", "access", "id", "contract_id", "uses_oauth_client"),
    # As above, for lists by name with those first that need an OAuth client.
    Index("components_tenant_id_name_idx", "tenant_id", "access", "uses_oauth_client", "name", "id"),
    Index("components_access_name_idx", "access", "uses_oauth_client", "name", "id"),
)

component_whitelists = Table(
    "component_whitelists",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id", ondelete="CASCADE"), primary_key=True),
    tenant(),  # of the contract: each tenant keeps its own part of the list
    Index("component_whitelists_contract_id_idx", "contract_id"),
)

component_versions = Table(
    "component_versions",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", String(40), primary_key=True),
    tenant(),
    Column("number", Integer, nullable=False),
    Column("descriptor", Document, nullable=False),
    at("created_at"),
    UniqueConstraint("component_id", "number"),
)

component_env = Table(
    "component_env",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Column("sealed_vars", LargeBinary, nullable=False),
)

oauth_clients = Table(
    "oauth_clients",
    metadata,
    own_id(),
    tenant(),
    Column("component_id", Id, nullable=False),  # no foreign key: a client outlives its component (contract 24.6)
    Column("sealed_client_id", LargeBinary, nullable=False),
    Column("sealed_client_secret", LargeBinary, nullable=False),
    Column("client_auth", String(20)),  # null: as the descriptor says (contract 0.23)
    at("secret_expires_at", nullable=True),  # as somebody has said (decision 27)
    at("reminder_at", nullable=True),  # when its end is told next
    *rotation_columns(),
    at("created_at"),
    at("updated_at"),
    at("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "component_id"),
    Index("oauth_clients_tenant_id_idx", "tenant_id", "id"),
)
indexed_where_set(oauth_clients, "secret_expires_at", "tenant_id")
indexed_where_set(oauth_clients, "reminder_at", "tenant_id")
indexed_where_set(oauth_clients, "rotation_due_at", "tenant_id")

credentials = Table(
    "credentials",
    metadata,
    own_id(),
    tenant(),
    belongs_to("workspace_id", "workspaces.id"),
    Column("component_id", Id, nullable=False),  # no foreign key: credentials outlive the component
    belongs_to("user_id", "users.id"),
    Column("name", Text, nullable=False),
    Column("account_label", Text),  # whose account at the provider it is (decision 33)
    Column("account_subject", Text),
    Column("sealed_keys", LargeBinary, nullable=False),
    at("created_at"),
    at("updated_at"),
    Index("credentials_workspace_id_idx", "workspace_id", "tenant_id", "id"),
    Index("credentials_user_id_idx", "user_id", "workspace_id"),
    Index("credentials_workspace_id_component_id_idx", "workspace_id", "tenant_id", "component_id", "id"),
    Index("credentials_tenant_id_component_id_idx", "tenant_id", "component_id"),
)

consents = Table(
    "consents",
    metadata,
    own_id(),
    tenant(),
    belongs_to("workspace_id", "workspaces.id"),
    belongs_to("user_id", "users.id"),
    Column("component_id", Id),  # absent only where an auth client is named (contract 0.11)
    Column("credential_id", Id),
    Column("auth_client_id", Id),
    Column("auth_secret_id", Id),
    Column("status", String(20), nullable=False),
    Column("error", Text),
    Column("result_id", Id),
    Column("state_hash", String(64), nullable=False, unique=True),
    Column("link_hash", String(64)),  # of a bound consent: of the link on our host that binds the browser
    Column("browser_hash", String(64)),  # of the browser that is bound, or that came back first
    Column("sealed_memory", LargeBinary, nullable=False),
    at("created_at"),
    at("expires_at"),
    at("ended_at", nullable=True),
    Index("consents_link_hash_key", "link_hash", unique=True),
    Index("consents_expires_at_idx", "expires_at"),
    Index("consents_workspace_id_idx", "workspace_id"),
    Index("consents_user_id_idx", "user_id"),
)

flows = Table(
    "flows",
    metadata,
    own_id(),
    tenant(),
    belongs_to("workspace_id", "workspaces.id"),
    belongs_to("user_id", "users.id"),
    Column("name", Text, nullable=False),
    Column("name_key", Ordered, nullable=False, server_default=""),  # as they are searched: `store.search_key`
    Column("description", Text, nullable=False),
    Column("description_key", Text, nullable=False, server_default=""),
    Column("type", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("current_status", String(20), nullable=False),
    Column("graph", Document, nullable=False),
    Column("attributes", Document, nullable=False),
    Column("draft", Document),
    Column("latest_version", String(40), nullable=False),
    at("created_at"),
    at("updated_at"),
    at("last_start_time", nullable=True),
    at("last_stop_time", nullable=True),
    # The workspace first: its deletion looks for what is in it. The tenant too: rows are counted without being read.
    Index("flows_workspace_id_idx", "workspace_id", "tenant_id", "id"),
    Index("flows_workspace_id_name_key_idx", "workspace_id", "tenant_id", "name_key", "id"),
    Index("flows_workspace_id_created_at_idx", "workspace_id", "tenant_id", "created_at", "id"),
    Index("flows_workspace_id_updated_at_idx", "workspace_id", "tenant_id", "updated_at", "id"),
    Index("flows_workspace_id_status_idx", "workspace_id", "tenant_id", "status", "id"),
    Index("flows_workspace_id_type_idx", "workspace_id", "tenant_id", "type", "id"),
    Index("flows_user_id_workspace_id_idx", "user_id", "workspace_id", "tenant_id", "id"),
)
Index(
    "flows_with_draft_idx", flows.c.workspace_id, flows.c.tenant_id, flows.c.id,
    postgresql_where=flows.c.draft.is_not(None), sqlite_where=flows.c.draft.is_not(None),
)  # fmt: skip

flow_versions = Table(
    "flow_versions",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", String(40), primary_key=True),
    tenant(),
    Column("number", Integer, nullable=False),
    Column("graph", Document, nullable=False),
    belongs_to("user_id", "users.id"),
    at("created_at"),
    UniqueConstraint("flow_id", "number"),
    Index("flow_versions_user_id_idx", "user_id"),
)

flow_references = Table(
    "flow_references",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("place", String(10), primary_key=True),
    Column("component_id", Id, primary_key=True),
    Column("revision", String(40), primary_key=True),
    tenant(),
    Index("flow_references_component_id_idx", "component_id", "tenant_id"),
)

flow_credentials = Table(
    "flow_credentials",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("credential_id", Id, primary_key=True),
    tenant(),
    Index("flow_credentials_credential_id_idx", "credential_id"),
)
