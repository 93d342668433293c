"""Lists of components by whether they need an OAuth client, and of auth clients by name, with rejected ones first."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_BATCH = 1000
_INDEXES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("components_tenant_id_name_idx", "components", ("tenant_id", "access", "uses_oauth_client", "name", "id")),
    ("components_access_name_idx", "components", ("access", "uses_oauth_client", "name", "id")),
    (
        "auth_clients_tenant_id_name_key_idx",
        "auth_clients",
        ("tenant_id", "name_key", "id", "rejected_at", "contract_id", "workspace_id"),
    ),
)
_REJECTED = ("auth_clients_rejected_at_idx", "auth_clients", ("rejected_at", "tenant_id", "name_key", "id"))
_clients = sa.table("auth_clients", *(sa.column(name, sa.Text()) for name in ("id", "name", "name_key")))


def upgrade() -> None:
    """Add and fill the column, and add the indexes."""
    ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("auth_clients", sa.Column("name_key", ordered, nullable=False, server_default=""))
    _fill()
    for name, table, columns in _INDEXES:
        op.create_index(name, table, list(columns))
    is_set, (name, table, columns) = sa.text("rejected_at IS NOT NULL"), _REJECTED
    op.create_index(name, table, list(columns), postgresql_where=is_set, sqlite_where=is_set)


def downgrade() -> None:
    """Drop them; the column can be filled again."""
    for name, table, _ in (*_INDEXES, _REJECTED):
        op.drop_index(name, table)
    op.drop_column("auth_clients", "name_key")


def _fill() -> None:
    connection, c = op.get_bind(), _clients.c
    fill = sa.update(_clients).where(c.id == sa.bindparam("client")).values(name_key=sa.bindparam("key"))
    last = ""
    while True:
        rows = connection.execute(sa.select(c.id, c.name).where(c.id > last).order_by(c.id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(fill, [{"client": row.id, "key": _key(row.name)} for row in rows])


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
