"""Say it on PostgreSQL when somebody may have lost access, for what server processes remember about callers."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TENANT, _KEY, _EVERYBODY = "OLD.tenant_id", "'key:' || left(OLD.key_hash, 16)", "''"
_WATCHED = (
    ("users", "DELETE OR UPDATE OF tenant_id, email, email_key, tenant_roles", _TENANT),
    ("contract_members", "DELETE OR UPDATE", _TENANT),
    ("workspace_members", "DELETE OR UPDATE", _TENANT),
    ("workspaces", "DELETE OR UPDATE OF tenant_id, contract_id", _TENANT),
    ("roles", "DELETE OR UPDATE", _TENANT),
    ("flows", "DELETE OR UPDATE OF tenant_id, workspace_id, status", _TENANT),
    ("api_keys", "DELETE OR UPDATE", _KEY),
    ("service_accounts", "DELETE OR UPDATE", _EVERYBODY),
)
"""Table, events, and what is said. Adding a row takes nothing away from anybody: refusals are not remembered."""


def upgrade() -> None:
    """Create a trigger for each table; SQLite has nobody to tell."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, events, subject in _WATCHED:
        name = f"keyrack_{table}_access_changed"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN PERFORM pg_notify('keyrack_access', {subject}); RETURN NULL; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} AFTER {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    """Drop the triggers with their functions."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, _, _ in _WATCHED:
        op.execute(f"DROP FUNCTION keyrack_{table}_access_changed() CASCADE")
