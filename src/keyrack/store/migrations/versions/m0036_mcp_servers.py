"""Auth clients are found by the protected resource they are for; a workspace has one for an MCP server."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no client is for a resource yet."""
    op.add_column("auth_clients", sa.Column("resource_key", sa.String(length=64), nullable=True))
    op.add_column("auth_clients", sa.Column("mcp_server_key", sa.String(length=64), nullable=True))
    is_set = sa.text("resource_key IS NOT NULL")
    columns = ["resource_key", "tenant_id"]
    op.create_index(
        "auth_clients_resource_key_idx", "auth_clients", columns, postgresql_where=is_set, sqlite_where=is_set
    )
    op.create_index("auth_clients_mcp_server_key_idx", "auth_clients", ["mcp_server_key", "workspace_id"], unique=True)


def downgrade() -> None:
    """Drop them; clients stay, and another one is made for a server that is added again."""
    op.drop_index("auth_clients_mcp_server_key_idx", "auth_clients")
    op.drop_index("auth_clients_resource_key_idx", "auth_clients")
    op.drop_column("auth_clients", "mcp_server_key")
    op.drop_column("auth_clients", "resource_key")
