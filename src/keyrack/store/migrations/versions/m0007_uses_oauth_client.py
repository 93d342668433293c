"""Whether a component asks for the tenant's OAuth client, as a column: queries ask for it (contract section 5)."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

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
    c, v = _components.c, _versions.c
    latest = sa.and_(v.component_id == c.id, v.revision == c.latest_revision)
    top, credentials = v.descriptor["useOAuthClient"], v.descriptor["credentials"]
    query = sa.select(c.id, top.label("top"), credentials.label("credentials")).join_from(
        _components, _versions, latest
    )
    ids = [row.id for row in op.get_bind().execute(query).all() if _asks(row)]
    for component_id in ids:
        op.execute(sa.update(_components).where(c.id == component_id).values(uses_oauth_client=sa.true()))


def downgrade() -> None:
    """Drop it; it can be found out again."""
    op.drop_column("components", "uses_oauth_client")


def _asks(row: Any) -> bool:
    inner = row.credentials
    return row.top is True or (isinstance(inner, dict) and inner.get("useOAuthClient") is True)
