"""Indexes for the narrowed lists of the console: a tenant's audit log, users by email, deliveries by state, events."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *(
        (f"audit_events_{name}_idx", "audit_events", ("tenant_id", name, "at", "id"))
        for name in ("actor", "action", "target_id", "outcome", "address", "request_id")
    ),
    ("deliveries_webhook_id_state_idx", "deliveries", ("webhook_id", "state", "event_id")),
    ("events_tenant_id_type_idx", "events", ("tenant_id", "type", "id")),
    ("users_tenant_id_email_key_idx", "users", ("tenant_id", "email_key")),
)

_TRIGGER = "keyrack_users_access_changed"


def upgrade() -> None:
    """Add the indexes; on PostgreSQL keys of emails are sorted as SQLite does, whatever the database's language."""
    _sort_emails("C")
    for name, table, columns in _INDEXES:
        op.create_index(name, table, list(columns))


def downgrade() -> None:
    """Drop them."""
    for name, table, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    _sort_emails("default")


def _sort_emails(collation: str) -> None:
    """Change how emails are sorted; a trigger that names the column is put aside meanwhile."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(f"DROP TRIGGER {_TRIGGER} ON users")
    op.alter_column("users", "email_key", type_=sa.String(320, collation=collation))
    events = "DELETE OR UPDATE OF tenant_id, email, email_key, tenant_roles"
    op.execute(f"CREATE TRIGGER {_TRIGGER} AFTER {events} ON users FOR EACH ROW EXECUTE FUNCTION {_TRIGGER}()")
