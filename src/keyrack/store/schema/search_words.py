"""The beginnings by which things are found by name (decision 35)."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table

from keyrack.store.schema.base import Id, Ordered, metadata

search_words = Table(
    "search_words",
    metadata,
    Column("place_id", Id, nullable=False),  # tenant, contract or workspace; empty for what all tenants share
    Column("kind", String(20), nullable=False),
    Column("word", Ordered, nullable=False),  # `store.core.search_words`
    Column("object_id", Id, nullable=False),
    Column("tenant_id", Id, nullable=False),  # whose it is; rows go with the object: a trigger deletes them
    PrimaryKeyConstraint("place_id", "kind", "word", "object_id"),
    Index("search_words_object_id_idx", "object_id"),
)
