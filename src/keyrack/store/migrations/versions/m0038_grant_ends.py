"""When grants end, as far as providers or their profiles say."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_TIMES = ("refresh_token_expires_at", "grant_expires_at")


def upgrade() -> None:
    """Add the columns; of grants from before it is known once they are refreshed."""
    for name in _TIMES:
        op.add_column("auth_secrets", sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in _TIMES:
        op.drop_column("auth_secrets", name)
