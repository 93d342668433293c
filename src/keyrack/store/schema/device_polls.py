"""Consents that wait for a person to enter a code: when the authorization server is asked next (RFC 8628)."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table

from keyrack.store.schema.base import Id, at, metadata, tenant

device_polls = Table(
    "device_polls",
    metadata,
    Column("id", Id, ForeignKey("consents.id", ondelete="CASCADE"), primary_key=True),
    tenant(),
    Column("interval_seconds", Integer, nullable=False),  # between two polls, as the server wants it by now
    Column("failures", Integer, nullable=False),  # in a row: polls that brought no answer
    at("due_at"),
    Column("claim", Id),
    Index("device_polls_due_at_idx", "due_at"),
)
