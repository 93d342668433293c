"""Which programs work on the schema: told to those that find it newer than they know."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

oldest_program = "0046"
"""The first that reads the table; later migrations that only add leave it as it is (decision 50)."""


def upgrade() -> None:
    """Create the table; whoever upgrades fills it."""
    op.create_table(
        "schema_compatibility",
        sa.Column("oldest_program", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("oldest_program", name=op.f("schema_compatibility_pkey")),
    )


def downgrade() -> None:
    """Drop it; a program then starts on its own schema alone."""
    op.drop_table("schema_compatibility")
