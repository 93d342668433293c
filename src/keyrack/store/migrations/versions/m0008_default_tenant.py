"""One default tenant at most, also when two are made at the same time."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_DOCUMENT = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_TENANTS = sa.table(
    "tenants", sa.column("id", sa.String), sa.column("attributes", _DOCUMENT), sa.column("is_default", sa.Boolean)
)


def upgrade() -> None:
    """Add the column; where two tenants became the default at the same moment, the older one stays it."""
    op.add_column("tenants", sa.Column("is_default", sa.Boolean(), nullable=True))
    c, connection, has_one = _TENANTS.c, op.get_bind(), False
    for row in connection.execute(sa.select(c.id, c.attributes).order_by(c.id)).all():
        if not row.attributes.get("is_default"):
            continue
        values: dict[str, Any] = {"is_default": True}
        if has_one:
            values = {"attributes": {**row.attributes, "is_default": False}}
        connection.execute(sa.update(_TENANTS).where(c.id == row.id).values(**values))
        has_one = True
    op.create_index("tenants_is_default_key", "tenants", ["is_default"], unique=True)


def downgrade() -> None:
    """Drop the column; the attributes say the same."""
    op.drop_index("tenants_is_default_key", "tenants")
    op.drop_column("tenants", "is_default")
