"""Registry credentials of teams, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; teams so far have none."""
    op.add_column("teams", sa.Column("sealed_docker_registry", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Drop it with what is in it."""
    op.drop_column("teams", "sealed_docker_registry")
