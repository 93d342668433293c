"""Which answers still count, when they came, what back-off grows with, and what is known of tokens' lifetimes."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SECRETS, _CLIENTS = "auth_secrets", "auth_clients"


def upgrade() -> None:
    """Add the columns. What is being refreshed at this moment still counts: both generations begin as one."""
    op.add_column(_CLIENTS, sa.Column("learned_at", sa.BigInteger(), nullable=True))
    for name in ("grant_generation", "backoff_count"):
        op.add_column(_SECRETS, sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column(_SECRETS, sa.Column("stated_lifetime", sa.Integer(), nullable=True))
    op.add_column(_SECRETS, sa.Column("lifetime_guessed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(_SECRETS, sa.Column("answered_ms", sa.BigInteger(), nullable=True))
    op.execute("UPDATE auth_secrets SET grant_generation = generation")


def downgrade() -> None:
    """Drop them; attempts name the tokens' generation again."""
    op.execute(
        "UPDATE attempts SET generation = (SELECT s.generation FROM auth_secrets s WHERE s.id = attempts.subject_id)"
        " WHERE settled_at IS NULL AND EXISTS (SELECT 1 FROM auth_secrets s"
        " WHERE s.id = attempts.subject_id AND s.grant_generation = attempts.generation)"
    )
    for name in ("answered_ms", "lifetime_guessed", "stated_lifetime", "backoff_count", "grant_generation"):
        op.drop_column(_SECRETS, name)
    op.drop_column(_CLIENTS, "learned_at")
