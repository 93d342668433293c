"""Indexes for every list, its filters and orders, and for what is looked for when something above it is deleted.

Flows are searched, and sorted by name, in a form that both databases compare alike (`keyrack.store.core.paging`).
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BATCH = 1000
_NEW: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("auth_clients_tenant_id_idx", "auth_clients", ("tenant_id", "contract_id", "workspace_id", "id")),
    ("auth_secrets_tenant_id_idx", "auth_secrets", ("tenant_id", "id")),
    ("auth_secrets_user_id_idx", "auth_secrets", ("user_id", "workspace_id", "id")),
    ("auth_secrets_workspace_id_idx", "auth_secrets", ("workspace_id", "tenant_id", "id")),
    ("component_whitelists_contract_id_idx", "component_whitelists", ("contract_id",)),
    ("components_access_idx", "components", ("access", "id")),
    ("components_contract_id_idx", "components", ("contract_id", "id")),
    ("components_tenant_id_idx", "components", ("tenant_id", "access", "id")),
    ("consents_user_id_idx", "consents", ("user_id",)),
    ("consents_workspace_id_idx", "consents", ("workspace_id",)),
    ("credentials_user_id_idx", "credentials", ("user_id", "workspace_id")),
    (
        "credentials_workspace_id_component_id_idx",
        "credentials",
        ("workspace_id", "tenant_id", "component_id", "id"),
    ),
    ("credentials_workspace_id_idx", "credentials", ("workspace_id", "tenant_id", "id")),
    ("flow_versions_user_id_idx", "flow_versions", ("user_id",)),
    ("flows_user_id_workspace_id_idx", "flows", ("user_id", "workspace_id", "tenant_id", "id")),
    ("flows_workspace_id_created_at_idx", "flows", ("workspace_id", "tenant_id", "created_at", "id")),
    ("flows_workspace_id_idx", "flows", ("workspace_id", "tenant_id", "id")),
    ("flows_workspace_id_name_key_idx", "flows", ("workspace_id", "tenant_id", "name_key", "id")),
    ("flows_workspace_id_status_idx", "flows", ("workspace_id", "tenant_id", "status", "id")),
    ("flows_workspace_id_type_idx", "flows", ("workspace_id", "tenant_id", "type", "id")),
    ("flows_workspace_id_updated_at_idx", "flows", ("workspace_id", "tenant_id", "updated_at", "id")),
    ("oauth_clients_tenant_id_idx", "oauth_clients", ("tenant_id", "id")),
    ("teams_contract_id_idx", "teams", ("contract_id", "id")),
    ("workspaces_contract_id_idx", "workspaces", ("contract_id", "tenant_id", "id")),
    ("workspaces_tenant_id_idx", "workspaces", ("tenant_id", "id")),
)
_OLD: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("auth_clients_tenant_id_idx", "auth_clients", ("tenant_id", "id")),
    ("auth_secrets_tenant_id_workspace_id_idx", "auth_secrets", ("tenant_id", "workspace_id", "id")),
    ("auth_secrets_user_id_idx", "auth_secrets", ("user_id",)),
    ("components_access_idx", "components", ("access",)),
    ("components_tenant_id_contract_id_idx", "components", ("tenant_id", "contract_id")),
    ("credentials_tenant_id_workspace_id_idx", "credentials", ("tenant_id", "workspace_id", "id")),
    ("flows_tenant_id_workspace_id_idx", "flows", ("tenant_id", "workspace_id", "id")),
    ("teams_tenant_id_contract_id_idx", "teams", ("tenant_id", "contract_id")),
    ("workspaces_tenant_id_contract_id_idx", "workspaces", ("tenant_id", "contract_id", "id")),
)
_flows = sa.table(
    "flows",
    *(sa.column(name, sa.Text()) for name in ("id", "name", "name_key", "description", "description_key")),
)


def upgrade() -> None:
    """Add and fill the columns, and exchange the indexes."""
    ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("flows", sa.Column("name_key", ordered, nullable=False, server_default=""))
    op.add_column("flows", sa.Column("description_key", sa.Text(), nullable=False, server_default=""))
    _fill()
    for name, table, _ in _OLD:
        op.drop_index(name, table)
    for name, table, columns in _NEW:
        op.create_index(name, table, list(columns))
    drafts = sa.text("draft IS NOT NULL")
    narrow = ["workspace_id", "tenant_id", "id"]
    op.create_index("flows_with_draft_idx", "flows", narrow, postgresql_where=drafts, sqlite_where=drafts)


def downgrade() -> None:
    """Put the old indexes back and drop the columns; they can be filled again."""
    op.drop_index("flows_with_draft_idx", "flows")
    for name, table, _ in _NEW:
        op.drop_index(name, table)
    for name, table, columns in _OLD:
        op.create_index(name, table, list(columns))
    op.drop_column("flows", "description_key")
    op.drop_column("flows", "name_key")


def _fill() -> None:
    connection, f = op.get_bind(), _flows.c
    fill = (
        sa.update(_flows)
        .where(f.id == sa.bindparam("flow"))
        .values(name_key=sa.bindparam("name_"), description_key=sa.bindparam("description_"))
    )
    last = ""
    while True:
        some = sa.select(f.id, f.name, f.description).where(f.id > last).order_by(f.id).limit(_BATCH)
        rows = connection.execute(some).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(
            fill, [{"flow": row.id, "name_": _key(row.name), "description_": _key(row.description)} for row in rows]
        )


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
