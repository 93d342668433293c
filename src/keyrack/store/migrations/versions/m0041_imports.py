"""What was brought over from other systems, and the grants of it that await their cutover."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_DUE, _TABLE = "auth_secrets_due_at_idx", "auth_secrets"
_COLUMNS = ["due_at", "tenant_id", "failed_at"]
_WAITING = "auth_secrets_cutover_batch_id_idx"


def upgrade() -> None:
    """Add tables and column; nothing awaits a cutover so far."""
    op.create_table(
        "import_batches",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("tenant_id", sa.String(24), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("cut_over_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="import_batches_pkey"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="import_batches_tenant_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_index("import_batches_tenant_id_idx", "import_batches", ["tenant_id", "source", "name"], unique=True)
    op.create_table(
        "import_entries",
        sa.Column("tenant_id", sa.String(24), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("external_key", sa.String(64), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.String(24), nullable=False),
        sa.Column("resource_id", sa.String(24), nullable=False),
        sa.Column("resource_version", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "source", "kind", "external_key", name="import_entries_pkey"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="import_entries_tenant_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["import_batches.id"], name="import_entries_batch_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_index("import_entries_batch_id_idx", "import_entries", ["batch_id", "kind", "external_key"])
    op.add_column(_TABLE, sa.Column("cutover_batch_id", sa.String(24), nullable=True))
    waiting = sa.text("cutover_batch_id IS NOT NULL")
    op.create_index(_WAITING, _TABLE, ["cutover_batch_id", "id"], postgresql_where=waiting, sqlite_where=waiting)
    _index_due("due_at IS NOT NULL AND cutover_batch_id IS NULL")


def downgrade() -> None:
    """Drop them; what awaited its cutover is then refreshed."""
    _index_due("due_at IS NOT NULL")
    op.drop_index(_WAITING, _TABLE)
    op.drop_column(_TABLE, "cutover_batch_id")
    op.drop_table("import_entries")
    op.drop_table("import_batches")


def _index_due(condition: str) -> None:
    op.drop_index(_DUE, _TABLE)
    where = sa.text(condition)
    op.create_index(_DUE, _TABLE, _COLUMNS, postgresql_where=where, sqlite_where=where)
