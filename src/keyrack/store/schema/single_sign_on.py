"""Single sign-on of tenants: settings, email domains, whose account is whose, and sign-ins under way (decision 31)."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint

from keyrack.store.schema.base import Id, at, belongs_to, metadata, own_id, tenant

single_sign_on = Table(
    "single_sign_on",
    metadata,
    own_id(),
    tenant(),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("client_auth", String(40), nullable=False),
    Column("sealed_client_secret", LargeBinary, nullable=False),  # of a public client: sealed, and empty
    Column("creates_users", Boolean, nullable=False),
    Column("allows_passwords", Boolean, nullable=False),
    at("created_at"),
    at("updated_at"),
    UniqueConstraint("tenant_id"),
)
single_sign_on_domains = Table(
    "single_sign_on_domains",
    metadata,
    own_id(),
    tenant(),
    Column("domain", String(320), nullable=False, unique=True),  # as in `email_key`; of one tenant alone
    Index("single_sign_on_domains_tenant_id_idx", "tenant_id"),
)
linked_identities = Table(
    "linked_identities",
    metadata,
    own_id(),
    tenant(),
    belongs_to("user_id", "users.id", unique=True),  # an account belongs to one person at the provider
    Column("identity_hash", String(64), nullable=False),  # of issuer and subject, which may be too long for an index
    Column("subject", String(255), nullable=False),
    Column("email", String(320)),  # what the provider said when they were linked
    at("linked_at"),
    UniqueConstraint("tenant_id", "identity_hash"),
    Index("linked_identities_tenant_id_idx", "tenant_id", "id"),
)
authentication_requests = Table(
    "authentication_requests",
    metadata,
    own_id(),
    tenant(),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE")),  # who tests; null: somebody signs in
    Column("state_hash", String(64), nullable=False, unique=True),
    Column("browser_hash", String(64), nullable=False),
    Column("sealed_context", LargeBinary, nullable=False),
    Column("sealed_result", LargeBinary),  # of a test
    at("created_at"),
    at("expires_at"),
    at("used_at", nullable=True),
    Index("authentication_requests_tenant_id_expires_at_idx", "tenant_id", "expires_at"),
    Index("authentication_requests_user_id_idx", "user_id"),
    Index("authentication_requests_expires_at_idx", "expires_at"),
)
