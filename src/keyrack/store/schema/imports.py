"""What was brought over from other systems, in which import, and which imports have been cut over (decision 52)."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, String, Table, Text

from keyrack.store.schema.base import Id, at, belongs_to, metadata, own_id, tenant

import_batches = Table(
    "import_batches",
    metadata,
    own_id(),
    tenant(),
    Column("source", String(20), nullable=False),  # the other system
    Column("name", String(255), nullable=False),  # tells imports from one system apart
    at("created_at"),
    at("cut_over_at", nullable=True),  # since when Keyrack renews what it brought, and takes nothing more
    Index("import_batches_tenant_id_idx", "tenant_id", "source", "name", unique=True),
)

import_entries = Table(
    "import_entries",
    metadata,
    tenant(),
    Column("source", String(20), nullable=False),
    Column("kind", String(20), nullable=False),  # of the resource
    Column("external_key", String(64), nullable=False),  # SHA-256 of `external_id`
    Column("external_id", Text, nullable=False),  # what the other system calls it
    belongs_to("batch_id", "import_batches.id"),
    Column("resource_id", Id, nullable=False),  # what was made of it; it may be gone
    Column("resource_version", BigInteger, nullable=False),  # of the resource when it was written last
    at("told_at", nullable=True),  # when the other system changed it last, as of what was brought
    PrimaryKeyConstraint("tenant_id", "source", "kind", "external_key"),
    Index("import_entries_batch_id_idx", "batch_id", "kind", "external_key"),
)
