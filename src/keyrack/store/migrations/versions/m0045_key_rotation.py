"""Exchanging keys: since when a data key is wrapped as it is, rotations that are under way, the console's own key."""

import sqlalchemy as sa
from alembic import op

from keyrack.store.migrations import key_guards

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table; the triggers come with every upgrade."""
    op.add_column("data_keys", sa.Column("wrapped_at", sa.BigInteger(), nullable=True))
    op.create_index("data_keys_kek_id_idx", "data_keys", ["kek_id"])
    op.add_column("installation", sa.Column("sealed_form_key", sa.LargeBinary(), nullable=True))
    op.create_table(
        "key_rotations",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("kek_id", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("key_rotations_pkey")),
    )


def downgrade() -> None:
    """Drop them."""
    key_guards.remove(op.get_bind())
    op.drop_table("key_rotations")
    op.drop_column("installation", "sealed_form_key")
    op.drop_index("data_keys_kek_id_idx", "data_keys")
    op.drop_column("data_keys", "wrapped_at")
