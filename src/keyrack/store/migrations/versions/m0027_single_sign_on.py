"""Single sign-on of tenants, and of which domain each user's email is."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)


def upgrade() -> None:
    """Create the tables, and fill in the domains."""
    _users()
    op.create_table(
        "single_sign_on",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_auth", sa.String(length=40), nullable=False),
        sa.Column("sealed_client_secret", sa.LargeBinary(), nullable=False),
        sa.Column("creates_users", sa.Boolean(), nullable=False),
        sa.Column("allows_passwords", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        _goes_with("single_sign_on", "tenant_id", "tenants"),
        sa.PrimaryKeyConstraint("id", name=op.f("single_sign_on_pkey")),
        sa.UniqueConstraint("tenant_id", name=op.f("single_sign_on_tenant_id_key")),
    )
    op.create_table(
        "single_sign_on_domains",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("domain", sa.String(length=320), nullable=False),
        _goes_with("single_sign_on_domains", "tenant_id", "tenants"),
        sa.PrimaryKeyConstraint("id", name=op.f("single_sign_on_domains_pkey")),
        sa.UniqueConstraint("domain", name=op.f("single_sign_on_domains_domain_key")),
    )
    op.create_index("single_sign_on_domains_tenant_id_idx", "single_sign_on_domains", ["tenant_id"])
    op.create_table(
        "linked_identities",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("identity_hash", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        _goes_with("linked_identities", "tenant_id", "tenants"),
        _goes_with("linked_identities", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("linked_identities_pkey")),
        sa.UniqueConstraint("user_id", name=op.f("linked_identities_user_id_key")),
        sa.UniqueConstraint("tenant_id", "identity_hash", name=op.f("linked_identities_tenant_id_identity_hash_key")),
    )
    op.create_index("linked_identities_tenant_id_idx", "linked_identities", ["tenant_id", "id"])
    op.create_table(
        "authentication_requests",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("browser_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_context", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_result", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        _goes_with("authentication_requests", "tenant_id", "tenants"),
        _goes_with("authentication_requests", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("authentication_requests_pkey")),
        sa.UniqueConstraint("state_hash", name=op.f("authentication_requests_state_hash_key")),
    )
    op.create_index(
        "authentication_requests_tenant_id_expires_at_idx", "authentication_requests", ["tenant_id", "expires_at"]
    )
    for column in ("user_id", "expires_at"):
        op.create_index(f"authentication_requests_{column}_idx", "authentication_requests", [column])


def downgrade() -> None:
    """Drop them; whoever signed in through their organisation needs a password again."""
    for table in ("authentication_requests", "linked_identities", "single_sign_on_domains", "single_sign_on"):
        op.drop_table(table)
    op.drop_index("users_email_domain_idx", "users")
    op.drop_column("users", "email_domain")


def _users() -> None:
    op.add_column("users", sa.Column("email_domain", sa.String(length=320), nullable=True))
    users = sa.table("users", sa.column("email_key", sa.Text()), sa.column("email_domain", sa.Text()))
    at_sign = sa.func.strpos if op.get_bind().dialect.name == "postgresql" else sa.func.instr
    domain = sa.func.substr(users.c.email_key, at_sign(users.c.email_key, "@") + 1)
    op.execute(sa.update(users).values(email_domain=domain))
    op.create_index("users_email_domain_idx", "users", ["email_domain", "tenant_id"])


def _goes_with(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete="CASCADE")
