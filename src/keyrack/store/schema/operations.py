"""What concerns the operator: refreshes counted, processes, rotations of keys, which programs work on the schema.

No tenant's data.
"""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from keyrack.store.schema.base import Document, Ordered, at, metadata, own_id

refresh_counts = Table(
    "refresh_counts",
    metadata,
    Column("span", Integer, primary_key=True),  # seconds that are counted together
    at("began_at", primary_key=True),
    Column("origin", Ordered, primary_key=True),  # scheme, host and port of the provider
    Column("result", String(40), primary_key=True),
    Column("refreshes", BigInteger, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", String(128), primary_key=True),  # as leases name their holder
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("roles", Document, nullable=False),
    Column("state", Document, nullable=False),  # what it is doing, and its circuits
    at("started_at"),
    Column("seen_ms", BigInteger, nullable=False),  # of the lease clock
)

key_rotations = Table(
    "key_rotations",
    metadata,
    own_id(),
    Column("kek_id", String(255), nullable=False),  # what data keys are wrapped with from then on
    at("started_at"),
    at("ended_at", nullable=True),
)

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("oldest_program", String(4), primary_key=True),  # one row: the newest revision that it knows
)
