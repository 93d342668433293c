"""Whether a component asks for the tenant's OAuth client, as a column: queries ask for it (contract section 5)."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH = 500
_components = sa.table("components", sa.column("id"), sa.column("latest_revision"), sa.column("uses_oauth_client"))
_versions = sa.table(
    "component_versions",
    sa.column("component_id"),
    sa.column("revision"),
    sa.column("descriptor", sa.JSON().with_variant(JSONB(), "postgresql")),
)


def upgrade() -> None:
    """Add the column and fill it from each component's latest build."""
    op.add_column("components", sa.Column("uses_oauth_client", sa.Boolean(), nullable=False, server_default=sa.false()))
    c, v, last = _components.c, _versions.c, ""
    latest = sa.and_(v.component_id == c.id, v.revision == c.latest_revision)
    while True:
        # The whole descriptor: SQLite reads `true` inside a document as the number 1.
        some = sa.select(c.id, v.descriptor).join_from(_components, _versions, latest).where(c.id > last)
        rows = op.get_bind().execute(some.order_by(c.id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        asking = [row.id for row in rows if _asks(row.descriptor)]
        op.execute(sa.update(_components).where(c.id.in_(asking)).values(uses_oauth_client=sa.true()))


def downgrade() -> None:
    """Drop it; it can be found out again."""
    op.drop_column("components", "uses_oauth_client")


def _asks(descriptor: dict[str, Any]) -> bool:
    inner = descriptor.get("credentials")
    return descriptor.get("useOAuthClient") is True or (isinstance(inner, dict) and inner.get("useOAuthClient") is True)
