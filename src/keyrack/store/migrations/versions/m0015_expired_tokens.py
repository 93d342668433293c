"""When a consent brought tokens, and expired tokens that nothing can renew."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "auth_secrets"


def upgrade() -> None:
    """Add the columns, and make secrets due that cannot be refreshed: when they expire, or now if they have."""
    op.add_column(_TABLE, sa.Column("connected_at", sa.BigInteger(), nullable=True))
    secrets = sa.table(
        _TABLE, sa.column("refreshable", sa.Boolean()), *(sa.column(name) for name in ("state", "due_at", "expires_at"))
    )
    s, now = secrets.c, sa.literal(time.time_ns() // 1_000_000, sa.BigInteger())
    ends = (sa.not_(s.refreshable), s.state == "ready", s.due_at.is_(None), s.expires_at.is_not(None))
    due = sa.case((s.expires_at < now, now), else_=s.expires_at)
    op.execute(sa.update(secrets).where(*ends).values(due_at=due))
    if op.get_bind().dialect.name == "postgresql":
        # Rows that 0014 changed in this transaction have their deferred foreign key checked now, or PostgreSQL refuses
        # to alter the table further.
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")


def downgrade() -> None:
    """Drop them; nothing is due any more that cannot be refreshed."""
    secrets = sa.table(_TABLE, sa.column("refreshable", sa.Boolean()), sa.column("due_at"))
    op.execute(sa.update(secrets).where(sa.not_(secrets.c.refreshable)).values(due_at=None))
    op.drop_column(_TABLE, "connected_at")
