"""What a consent asked for, and what of it the provider did not grant (contract 0.23)."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INDEX = "auth_secrets_missing_scopes_idx"
_COLUMNS = ("requested_scopes", "missing_scopes")


def upgrade() -> None:
    """Add the columns, empty: what earlier consents asked for is not known any more."""
    document = sa.JSON().with_variant(JSONB(), "postgresql")
    for name in _COLUMNS:
        op.add_column("auth_secrets", sa.Column(name, document, nullable=True))
    missing = sa.text("missing_scopes IS NOT NULL")
    op.create_index(
        _INDEX, "auth_secrets", ["workspace_id", "tenant_id", "id"], postgresql_where=missing, sqlite_where=missing
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index(_INDEX, "auth_secrets")
    for name in _COLUMNS:
        op.drop_column("auth_secrets", name)
