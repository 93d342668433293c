"""The tables. Every table with tenant data has a `tenant_id`; `unit.TenantTable` is the only way to it.

`sealed_*` columns hold envelopes (`keyrack.crypto.envelope`), never clear text.
"""

from keyrack.store.schema.audit import (
    audit_chains,
    audit_checkpoints,
    audit_counts,
    audit_events,
    audit_keys,
    audit_sent,
)
from keyrack.store.schema.base import metadata
from keyrack.store.schema.connect_links import connect_links
from keyrack.store.schema.connect_themes import connect_themes
from keyrack.store.schema.console_sessions import authenticators, console_sessions, pending_sign_ins
from keyrack.store.schema.containment import contained_grants, freezes
from keyrack.store.schema.deleted_clients import deleted_clients
from keyrack.store.schema.device_polls import device_polls
from keyrack.store.schema.events import deliveries, events, mails, revocations, webhooks
from keyrack.store.schema.foundation import (
    api_keys,
    component_env,
    component_versions,
    component_whitelists,
    components,
    consents,
    contract_members,
    contracts,
    credentials,
    data_keys,
    flow_credentials,
    flow_references,
    flow_versions,
    flows,
    installation,
    oauth_clients,
    roles,
    service_accounts,
    team_members,
    teams,
    tenants,
    users,
    workspace_members,
    workspaces,
)
from keyrack.store.schema.grants import (
    IS_SCHEDULED,
    attempts,
    auth_client_components,
    auth_clients,
    auth_secrets,
    flow_secrets,
)
from keyrack.store.schema.imports import import_batches, import_entries
from keyrack.store.schema.invites import contract_invites
from keyrack.store.schema.operations import key_rotations, processes, refresh_counts, schema_compatibility
from keyrack.store.schema.search_words import search_words
from keyrack.store.schema.setup_links import setup_links
from keyrack.store.schema.single_sign_on import (
    authentication_requests,
    linked_identities,
    single_sign_on,
    single_sign_on_domains,
)

__all__ = [
    "IS_SCHEDULED",
    "api_keys",
    "attempts",
    "audit_chains",
    "audit_checkpoints",
    "audit_counts",
    "audit_events",
    "audit_keys",
    "audit_sent",
    "auth_client_components",
    "auth_clients",
    "auth_secrets",
    "authentication_requests",
    "authenticators",
    "component_env",
    "component_versions",
    "component_whitelists",
    "components",
    "connect_links",
    "connect_themes",
    "consents",
    "console_sessions",
    "contained_grants",
    "contract_invites",
    "contract_members",
    "contracts",
    "credentials",
    "data_keys",
    "deleted_clients",
    "deliveries",
    "device_polls",
    "events",
    "flow_credentials",
    "flow_references",
    "flow_secrets",
    "flow_versions",
    "flows",
    "freezes",
    "import_batches",
    "import_entries",
    "installation",
    "key_rotations",
    "linked_identities",
    "mails",
    "metadata",
    "oauth_clients",
    "pending_sign_ins",
    "processes",
    "refresh_counts",
    "revocations",
    "roles",
    "schema_compatibility",
    "search_words",
    "service_accounts",
    "setup_links",
    "single_sign_on",
    "single_sign_on_domains",
    "team_members",
    "teams",
    "tenants",
    "users",
    "webhooks",
    "workspace_members",
    "workspaces",
]
