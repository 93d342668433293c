"""Lists are counted from indexes alone: of components each part of what a place has, and a user's secrets."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_CHANGED: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "auth_secrets_user_id_idx",
        "auth_secrets",
        ("user_id", "workspace_id", "id"),
        ("user_id", "workspace_id", "tenant_id", "id"),
    ),
    ("components_access_idx", "components", ("access", "id"), ("access", "id", "contract_id", "uses_oauth_client")),
    (
        "components_tenant_id_idx",
        "components",
        ("tenant_id", "access", "id"),
        ("tenant_id", "access", "id", "contract_id"),
    ),
)
"""Index, table, its columns before and after."""


def upgrade() -> None:
    """Widen the indexes."""
    for name, table, _, after in _CHANGED:
        op.drop_index(name, table)
        op.create_index(name, table, list(after))


def downgrade() -> None:
    """Narrow them again."""
    for name, table, before, _ in _CHANGED:
        op.drop_index(name, table)
        op.create_index(name, table, list(before))
