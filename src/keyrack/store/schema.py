"""The tables. Every table with tenant data has a `tenant_id`; `unit.TenantTable` is the only way to it.

`sealed_*` columns hold envelopes (`keyrack.crypto.envelope`), never clear text.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time, stored as whole milliseconds since 1970 so that it means the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware time into milliseconds."""
        del dialect
        return None if value is None else int(value.timestamp() * 1000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Turn milliseconds into an aware time in UTC."""
        del dialect
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(24)


def _id() -> Column[Any]:
    return Column("id", Id, primary_key=True)


def _tenant() -> Column[Any]:
    return Column("tenant_id", Id, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def _belongs_to(name: str, target: str, **options: Any) -> Column[Any]:
    return Column(name, Id, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def _at(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Moment, nullable=nullable)


installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sealed_check", LargeBinary, nullable=False),
    _at("created_at"),
)

data_keys = Table(
    "data_keys",
    metadata,
    _id(),
    Column("tenant_id", Id, nullable=False, index=True),  # empty for the installation
    Column("kek_id", String(255), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    _at("created_at"),
)

tenants = Table(
    "tenants",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("app_domain", String(255), nullable=False, unique=True),
    Column("attributes", Document, nullable=False),
    _at("created_at"),
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
    _id(),
    _tenant(),
    Column("email", String(320), nullable=False),
    Column("email_key", String(320), nullable=False, unique=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("company", Text),
    Column("password_hash", Text),
    Column("tenant_roles", Document, nullable=False),
    _at("registered"),
    _at("last_login", nullable=True),
    Index("users_tenant_id_idx", "tenant_id", "id"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    _id(),
    Column("username", String(320), nullable=False, unique=True),
    Column("permissions", Document, nullable=False),
    _at("created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("service_account_id", Id, ForeignKey("service_accounts.id", ondelete="CASCADE"), index=True),
    Column("name", String(255), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    _at("created_at"),
    _at("expires_at", nullable=True),
)

contracts = Table(
    "contracts",
    metadata,
    _id(),
    _tenant(),
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
    _tenant(),
    Column("roles", Document, nullable=False),
    Index("contract_members_user_id_idx", "user_id"),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("contract_id", "contracts.id"),
    Column("name", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("attributes", Document, nullable=False),
    Index("workspaces_tenant_id_contract_id_idx", "tenant_id", "contract_id", "id"),
)

workspace_members = Table(
    "workspace_members",
    metadata,
    Column("workspace_id", Id, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Column("roles", Document, nullable=False),
    Index("workspace_members_user_id_idx", "user_id"),
)

teams = Table(
    "teams",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("contract_id", "contracts.id"),
    Column("name", String(255), nullable=False, unique=True),
    Index("teams_tenant_id_contract_id_idx", "tenant_id", "contract_id"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("team_id", Id, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Index("team_members_user_id_idx", "user_id"),
)

components = Table(
    "components",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("contract_id", "contracts.id"),
    _belongs_to("team_id", "teams.id"),
    Column("name", String(255), nullable=False),
    Column("access", String(20), nullable=False),
    Column("attributes", Document, nullable=False),
    Column("latest_revision", String(40)),
    Column("latest_number", Integer, nullable=False),
    UniqueConstraint("team_id", "name"),
    Index("components_tenant_id_contract_id_idx", "tenant_id", "contract_id"),
    Index("components_access_idx", "access"),
)

component_whitelists = Table(
    "component_whitelists",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("contract_id", Id, ForeignKey("contracts.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),  # of the contract: each tenant keeps its own part of the list
)

component_versions = Table(
    "component_versions",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", String(40), primary_key=True),
    _tenant(),
    Column("number", Integer, nullable=False),
    Column("descriptor", Document, nullable=False),
    _at("created_at"),
    UniqueConstraint("component_id", "number"),
)

component_env = Table(
    "component_env",
    metadata,
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    _tenant(),
    Column("sealed_vars", LargeBinary, nullable=False),
)

oauth_clients = Table(
    "oauth_clients",
    metadata,
    _id(),
    _tenant(),
    Column("component_id", Id, nullable=False),  # no foreign key: a client outlives its component (contract 24.6)
    Column("sealed_client_id", LargeBinary, nullable=False),
    Column("sealed_client_secret", LargeBinary, nullable=False),
    _at("created_at"),
    _at("updated_at"),
    _at("last_used_at", nullable=True),
    UniqueConstraint("tenant_id", "component_id"),
)

credentials = Table(
    "credentials",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("workspace_id", "workspaces.id"),
    Column("component_id", Id, nullable=False),  # no foreign key: credentials outlive the component
    _belongs_to("user_id", "users.id"),
    Column("name", Text, nullable=False),
    Column("sealed_keys", LargeBinary, nullable=False),
    _at("created_at"),
    _at("updated_at"),
    Index("credentials_tenant_id_workspace_id_idx", "tenant_id", "workspace_id", "id"),
    Index("credentials_tenant_id_component_id_idx", "tenant_id", "component_id"),
)

consents = Table(
    "consents",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("workspace_id", "workspaces.id"),
    _belongs_to("user_id", "users.id"),
    Column("component_id", Id, nullable=False),
    Column("credential_id", Id),
    Column("status", String(20), nullable=False),
    Column("error", Text),
    Column("result_id", Id),
    Column("state_hash", String(64), nullable=False, unique=True),
    Column("sealed_memory", LargeBinary, nullable=False),
    _at("created_at"),
    _at("expires_at"),
    Index("consents_expires_at_idx", "expires_at"),
)

flows = Table(
    "flows",
    metadata,
    _id(),
    _tenant(),
    _belongs_to("workspace_id", "workspaces.id"),
    _belongs_to("user_id", "users.id"),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("current_status", String(20), nullable=False),
    Column("graph", Document, nullable=False),
    Column("attributes", Document, nullable=False),
    Column("draft", Document),
    Column("latest_version", String(40), nullable=False),
    _at("created_at"),
    _at("updated_at"),
    _at("last_start_time", nullable=True),
    _at("last_stop_time", nullable=True),
    Index("flows_tenant_id_workspace_id_idx", "tenant_id", "workspace_id", "id"),
)

flow_versions = Table(
    "flow_versions",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", String(40), primary_key=True),
    _tenant(),
    Column("number", Integer, nullable=False),
    Column("graph", Document, nullable=False),
    _belongs_to("user_id", "users.id"),
    _at("created_at"),
    UniqueConstraint("flow_id", "number"),
)

flow_references = Table(
    "flow_references",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("place", String(10), primary_key=True),
    Column("component_id", Id, primary_key=True),
    Column("revision", String(40), primary_key=True),
    _tenant(),
    Index("flow_references_component_id_idx", "component_id", "tenant_id"),
)

flow_credentials = Table(
    "flow_credentials",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("credential_id", Id, primary_key=True),
    _tenant(),
    Index("flow_credentials_credential_id_idx", "credential_id"),
)

audit_events = Table(
    "audit_events",
    metadata,
    _id(),
    Column("tenant_id", Id, nullable=False),  # empty for the installation; no foreign key: the log outlives the tenant
    _at("at"),
    Column("actor", String(320), nullable=False),
    Column("actor_kind", String(20), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target_type", String(64), nullable=False),
    Column("target_id", String(64)),
    Column("outcome", String(20), nullable=False),
    Column("address", String(64)),
    Column("request_id", String(128)),
    Index("audit_events_tenant_id_at_idx", "tenant_id", "at", "id"),
)
