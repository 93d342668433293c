"""How an OAuth client authenticates at the token endpoint, where its tenant chose (contract 0.23)."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; null is the descriptor's choice, as before."""
    op.add_column("oauth_clients", sa.Column("client_auth", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("oauth_clients", "client_auth")
