"""Revocations that are pending outlive their tenant, so that deleting it leaves no live token behind."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FOREIGN_KEY = "revocations_tenant_id_fkey"


def upgrade() -> None:
    """Drop the foreign key."""
    with op.batch_alter_table("revocations") as batch_op:
        batch_op.drop_constraint(_FOREIGN_KEY, type_="foreignkey")


def downgrade() -> None:
    """Put the foreign key back; what belongs to no tenant any more goes."""
    op.execute("DELETE FROM revocations WHERE tenant_id NOT IN (SELECT id FROM tenants)")
    with op.batch_alter_table("revocations") as batch_op:
        batch_op.create_foreign_key(_FOREIGN_KEY, "tenants", ["tenant_id"], ["id"], ondelete="CASCADE")
