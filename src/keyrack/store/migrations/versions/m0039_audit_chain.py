"""Hash chains over the audit log, their checkpoints, and the keys that sign these.

Events from before are put into the chains by the worker.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and indexes to the log, and the tables."""
    op.add_column("audit_events", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("audit_events", sa.Column("entry_hash", sa.LargeBinary(), nullable=True))
    unchained, chained = sa.text("sequence IS NULL"), sa.text("sequence IS NOT NULL")
    op.create_index(
        "audit_events_unchained_idx",
        "audit_events",
        ["tenant_id", "at", "id"],
        postgresql_where=unchained,
        sqlite_where=unchained,
    )
    op.create_index(
        "audit_events_sequence_key",
        "audit_events",
        ["tenant_id", "sequence"],
        unique=True,
        postgresql_where=chained,
        sqlite_where=chained,
    )
    op.create_table(
        "audit_chains",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.String(length=24), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("kept_sequence", sa.BigInteger(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=True),
        sa.Column("cut_sequence", sa.BigInteger(), nullable=False),
        sa.Column("cut_hash", sa.LargeBinary(), nullable=True),
        sa.Column("cut_at", sa.BigInteger(), nullable=True),
        sa.Column("cut_key_id", sa.String(length=24), nullable=True),
        sa.Column("cut_signature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("audit_chains_pkey")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("tenant_id", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=24), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("audit_checkpoints_pkey")),
    )
    op.create_table(
        "audit_keys",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("in_use", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_keys_pkey")),
        sa.UniqueConstraint("in_use", name=op.f("audit_keys_in_use_key")),
    )


def downgrade() -> None:
    """Drop them; the events stay."""
    op.drop_table("audit_keys")
    op.drop_table("audit_checkpoints")
    op.drop_table("audit_chains")
    op.drop_index("audit_events_sequence_key", "audit_events")
    op.drop_index("audit_events_unchained_idx", "audit_events")
    op.drop_column("audit_events", "entry_hash")
    op.drop_column("audit_events", "sequence")
