"""When API keys were last used; writing that down takes nothing away from anybody, so it is not said."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAME = "keyrack_api_keys_access_changed"


def _watch(events: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {_NAME} ON api_keys")
        op.execute(f"CREATE TRIGGER {_NAME} AFTER {events} ON api_keys FOR EACH ROW EXECUTE FUNCTION {_NAME}()")


def upgrade() -> None:
    """Add the column, and let the trigger of migration 0004 pass over it."""
    op.add_column("api_keys", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    _watch("DELETE OR UPDATE OF key_hash, user_id, service_account_id, flow_id, expires_at")


def downgrade() -> None:
    """Drop the column."""
    _watch("DELETE OR UPDATE")
    op.drop_column("api_keys", "last_used_at")
