"""The second generation: auth clients, auth secrets with the state of their refreshing, and the attempts' journal."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    false,
    text,
)

from keyrack.store.schema.base import (
    Document,
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

auth_clients = Table(
    "auth_clients",
    metadata,
    own_id(),
    Column("tenant_id", Id, nullable=False),  # empty for a global client, which belongs to the installation
    Column("contract_id", Id, ForeignKey("contracts.id", ondelete="CASCADE")),
    Column("workspace_id", Id, ForeignKey("workspaces.id", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("name_key", Ordered, nullable=False, server_default=""),  # as it is searched: `store.search_key`
    Column("type", String(255), nullable=False),
    Column("sealed_credentials", LargeBinary, nullable=False),
    Column("origin", String(512)),  # scheme, host and port that refresh requests go to
    Column("learned_lifetime", Integer),  # seconds
    at("learned_at", nullable=True),  # when a token last ended so early
    Column("rejection", Document),  # what the provider said when it rejected the client
    at("rejected_at", nullable=True),
    at("probe_at", nullable=True),  # when one that was rejected may be tried; null once it works
    at("secret_expires_at", nullable=True),  # as somebody has said (decision 27)
    at("reminder_at", nullable=True),  # when its end is told next
    Column("resource_key", String(64)),  # of the protected resource that its tokens are for: `auth_clients.server_key`
    Column("mcp_server_key", String(64)),  # of the MCP server that it was made for by its address
    *rotation_columns(),
    at("created_at"),
    at("updated_at"),
    Index("auth_clients_mcp_server_key_idx", "mcp_server_key", "workspace_id", unique=True),
    Index("auth_clients_tenant_id_idx", "tenant_id", "contract_id", "workspace_id", "id"),
    # Lists by name, counted without rows being read: with all that narrows them most of the time.
    Index(
        "auth_clients_tenant_id_name_key_idx",
        *("tenant_id", "name_key", "id", "rejected_at", "contract_id", "workspace_id"),
    ),
    Index("auth_clients_contract_id_idx", "contract_id"),
    Index("auth_clients_workspace_id_idx", "workspace_id"),
)
indexed_where_set(auth_clients, "secret_expires_at", "tenant_id")
indexed_where_set(auth_clients, "reminder_at", "tenant_id")
indexed_where_set(auth_clients, "resource_key", "tenant_id")
indexed_where_set(auth_clients, "rotation_due_at", "tenant_id")
indexed_where_set(auth_clients, "rejected_at", "tenant_id", "name_key", "id")

auth_client_components = Table(
    "auth_client_components",
    metadata,
    Column("auth_client_id", Id, ForeignKey("auth_clients.id", ondelete="CASCADE"), primary_key=True),
    Column("component_id", Id, ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant_id", Id, nullable=False),  # as the client's
    Index("auth_client_components_component_id_idx", "component_id"),
)

auth_secrets = Table(
    "auth_secrets",
    metadata,
    own_id(),
    tenant(),
    belongs_to("workspace_id", "workspaces.id"),
    belongs_to("user_id", "users.id"),
    # Checked when the transaction ends: deleting a contract removes its clients and the secrets in one go.
    Column(
        "auth_client_id",
        Id,
        ForeignKey("auth_clients.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    Column("name", Text, nullable=False),
    Column("name_key", Ordered, nullable=False, server_default=""),  # searched by its beginning
    Column("type", String(255), nullable=False),
    Column("sealed_credentials", LargeBinary, nullable=False),
    Column("sealed_dpop_key", LargeBinary),  # what its tokens are bound to (RFC 9449), where they are
    Column("auth_method", String(40)),  # how the client authenticated at consent (contract 20.3)
    Column("refreshable", Boolean, nullable=False),  # oauth2, and new tokens can be got
    Column("requested_scopes", Document),  # what its consent asked for (contract 0.23)
    Column("missing_scopes", Document),  # what of it the provider did not grant; null when there is nothing
    Column("account_label", Text),  # whose account at the provider it is (decision 33)
    Column("account_subject", Text),
    Column("userinfo_uri", Text),  # where that was asked when it was connected
    Column("redirect_uri", Text),  # of its consent; repeated to providers that want it when a token is refreshed
    Column("state", String(10), nullable=False),
    Column("error", Text),
    Column("error_code", String(40)),
    at("error_at", nullable=True),
    # tokens
    at("issued_at", nullable=True),
    at("expires_at", nullable=True),
    Column("generation", Integer, nullable=False),  # grows with every change of the tokens
    # grows with every answer to a refresh and every other refresh token: answers to older requests no longer count
    Column("grant_generation", Integer, nullable=False, server_default=text("0")),
    Column("stated_lifetime", Integer),  # seconds; what was last said of tokens of this grant
    Column("lifetime_guessed", Boolean, nullable=False, server_default=false()),  # nobody said when this token expires
    at("refresh_token_expires_at", nullable=True),  # unless a refresh comes before
    at("grant_expires_at", nullable=True),  # when a new consent is needed in any case
    # refreshing
    at("due_at", nullable=True),  # when the background refreshes next, or tells that a token expired; null: never
    at("retry_at", nullable=True),  # after a failure: readers cause no try before this
    at("refreshed_at", nullable=True),
    at("connected_at", nullable=True),  # when a consent brought tokens last
    at("ambiguous_since", nullable=True),  # first request since the last success whose fate is unknown
    Column("failure", Document),  # class, code, description, reason of the last failure
    Column("failure_count", Integer, nullable=False),  # since the last success
    at("failed_at", nullable=True),
    Column("backoff_count", Integer, nullable=False, server_default=text("0")),  # failures of the background itself
    Column("answered_ms", BigInteger),  # when the last request for tokens came to its end; of the lease clock
    Column("cutover_batch_id", Id),  # the import that brought it, until that is cut over: it is not refreshed before
    # one refresh at a time; times of the lease clock, see `keyrack.store.leases`
    Column("lease_owner", String(128)),
    Column("lease_until", BigInteger),
    Column("fence", BigInteger, nullable=False),
    at("last_used_at", nullable=True),
    at("created_at"),
    at("updated_at"),
    Index("auth_secrets_tenant_id_idx", "tenant_id", "id"),
    Index("auth_secrets_workspace_id_idx", "workspace_id", "tenant_id", "id"),
    Index("auth_secrets_workspace_id_name_key_idx", "workspace_id", "tenant_id", "name_key", "id"),
    Index("auth_secrets_workspace_id_expires_at_idx", "workspace_id", "tenant_id", "expires_at"),
    Index("auth_secrets_auth_client_id_idx", "auth_client_id", "id"),
    Index("auth_secrets_user_id_idx", "user_id", "workspace_id", "tenant_id", "id"),
)
IS_SCHEDULED = and_(auth_secrets.c.due_at.is_not(None), auth_secrets.c.cutover_batch_id.is_(None))
"""Whether the background will do something about a secret: never while it awaits its cutover, whatever is due."""
Index(
    "auth_secrets_due_at_idx",  # with whose they are, so that a long queue of one tenant is passed by
    auth_secrets.c.due_at,
    auth_secrets.c.tenant_id,
    auth_secrets.c.failed_at,
    postgresql_where=IS_SCHEDULED,
    sqlite_where=IS_SCHEDULED,
)
indexed_where_set(auth_secrets, "cutover_batch_id", "id")

Index(
    "auth_secrets_missing_scopes_idx",
    auth_secrets.c.workspace_id,
    auth_secrets.c.tenant_id,
    auth_secrets.c.id,
    postgresql_where=auth_secrets.c.missing_scopes.is_not(None),
    sqlite_where=auth_secrets.c.missing_scopes.is_not(None),
)

Index(
    "auth_secrets_in_error_idx",
    auth_secrets.c.workspace_id,
    auth_secrets.c.tenant_id,
    auth_secrets.c.id,
    postgresql_where=auth_secrets.c.state == "error",
    sqlite_where=auth_secrets.c.state == "error",
)
IN_TROUBLE = text("(state = 'error' OR failed_at IS NOT NULL)")
"""Secrets in error, and those whose last refresh failed: few, if all is well."""
Index("auth_secrets_trouble_idx", auth_secrets.c.id, postgresql_where=IN_TROUBLE, sqlite_where=IN_TROUBLE)

attempts = Table(
    "attempts",
    metadata,
    own_id(),
    tenant(),
    Column("kind", String(10), nullable=False),  # `store.attempts.AttemptKind`
    Column("subject_id", Id, nullable=False),  # the secret, the consent or the auth client
    Column("fence", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),  # `grant_generation` of the refresh token that was sent
    Column("owner", String(128), nullable=False),  # the process
    Column("sealed_answer", LargeBinary),
    Column("outcome", String(20)),  # null while open
    at("started_at"),
    at("answered_at", nullable=True),
    at("settled_at", nullable=True),
    Index("attempts_subject_id_idx", "subject_id"),
)
Index(
    "attempts_open_idx",
    attempts.c.id,
    postgresql_where=attempts.c.settled_at.is_(None),
    sqlite_where=attempts.c.settled_at.is_(None),
)
Index(
    "attempts_settled_at_idx",
    attempts.c.settled_at,
    postgresql_where=attempts.c.settled_at.is_not(None),
    sqlite_where=attempts.c.settled_at.is_not(None),
)

flow_secrets = Table(
    "flow_secrets",
    metadata,
    Column("flow_id", Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("secret_id", Id, primary_key=True),
    tenant(),
    Index("flow_secrets_secret_id_idx", "secret_id"),
)
