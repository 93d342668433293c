"""Whose account at the provider a connection is, and indexes for lists of connections and connect links.

Names are searched by their beginning, in a form that both databases compare alike (`keyrack.store.core.paging`).
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_BATCH = 1000
_SEARCHED = 200
_ACCOUNT = (
    ("auth_secrets", "account_label"),
    ("auth_secrets", "account_subject"),
    ("auth_secrets", "userinfo_uri"),
    ("credentials", "account_label"),
    ("credentials", "account_subject"),
)
_INDEXES = {
    "auth_secrets_workspace_id_name_key_idx": ["workspace_id", "tenant_id", "name_key", "id"],
    "auth_secrets_workspace_id_expires_at_idx": ["workspace_id", "tenant_id", "expires_at"],
}
_IN_ERROR = "auth_secrets_in_error_idx"
_secrets = sa.table("auth_secrets", *(sa.column(name, sa.Text()) for name in ("id", "name", "name_key")))


def upgrade() -> None:
    """Add the columns and the indexes; whose accounts they are is known once they are connected again or tested."""
    for table, name in _ACCOUNT:
        op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("auth_secrets", sa.Column("name_key", ordered, nullable=False, server_default=""))
    _fill()
    for name, columns in _INDEXES.items():
        op.create_index(name, "auth_secrets", columns)
    _rebuild_index("connect_links_user_id_idx", ["user_id", "workspace_id", "tenant_id", "id"])
    failing = sa.text("state = 'error'")
    narrow = ["workspace_id", "tenant_id", "id"]
    op.create_index(_IN_ERROR, "auth_secrets", narrow, postgresql_where=failing, sqlite_where=failing)


def downgrade() -> None:
    """Drop them; the names can be filled in again."""
    _rebuild_index("connect_links_user_id_idx", ["user_id"])
    for name in (_IN_ERROR, *_INDEXES):
        op.drop_index(name, "auth_secrets")
    op.drop_column("auth_secrets", "name_key")
    for table, name in _ACCOUNT:
        op.drop_column(table, name)


def _rebuild_index(name: str, columns: list[str]) -> None:
    op.drop_index(name, "connect_links")
    op.create_index(name, "connect_links", columns)


def _fill() -> None:
    connection, s = op.get_bind(), _secrets.c
    fill = sa.update(_secrets).where(s.id == sa.bindparam("secret")).values(name_key=sa.bindparam("key_"))
    last = ""
    while True:
        some = sa.select(s.id, s.name).where(s.id > last).order_by(s.id).limit(_BATCH)
        rows = connection.execute(some).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(fill, [{"secret": row.id, "key_": _key(row.name)} for row in rows])


def _key(name: str) -> str:
    folded = unicodedata.normalize("NFC", name[:_SEARCHED]).casefold()
    return unicodedata.normalize("NFC", folded)[:_SEARCHED]
