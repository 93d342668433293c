"""The redirect URI of the consent behind a secret, for providers that want it repeated when a token is refreshed."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; that of connections from before is known once they are connected again."""
    op.add_column("auth_secrets", sa.Column("redirect_uri", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("auth_secrets", "redirect_uri")
