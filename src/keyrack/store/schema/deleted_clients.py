"""Clients that were deleted and can still be restored, whole."""

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from keyrack.store.schema.base import Id, at, metadata, own_id

deleted_clients = Table(
    "deleted_clients",
    metadata,
    own_id(),  # as the client's
    Column("tenant_id", Id, nullable=False),  # empty for a global client
    Column("kind", String(12), nullable=False),  # "auth-client" or "oauth-client"
    Column("contract_id", Id),  # where it was; no foreign keys: who deletes a place deletes these for good before
    Column("workspace_id", Id),
    Column("component_id", Id),  # of an OAuth client
    Column("name", Text),  # of an auth client
    Column("sealed_client", LargeBinary, nullable=False),  # its row, and what it was linked to
    at("deleted_at"),
    at("ends_at"),  # then it is deleted for good
    Index("deleted_clients_ends_at_idx", "ends_at", "id"),
    Index("deleted_clients_tenant_id_idx", "tenant_id", "id"),
)
