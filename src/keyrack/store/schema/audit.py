"""The audit log, its hash chains, the checkpoints of these and the keys that sign them (docs/audit.md).

No foreign keys: a tenant's log outlives the tenant.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from keyrack.store.schema.base import Id, at, metadata, own_id

audit_events = Table(
    "audit_events",
    metadata,
    own_id(),
    Column("tenant_id", Id, nullable=False),  # empty for the installation
    at("at"),
    Column("actor", String(320), nullable=False),
    Column("actor_kind", String(20), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target_type", String(64), nullable=False),
    Column("target_id", String(64)),
    Column("outcome", String(20), nullable=False),
    Column("address", String(64)),
    Column("request_id", String(128)),
    Column("times", BigInteger),  # of what is counted by the hour: how often; null of others
    at("first_at", nullable=True),  # of that: when for the first time; `at` is the last time
    Column("sequence", BigInteger),  # in the chain; null until the event has been put there
    Column("entry_hash", LargeBinary),
    Index("audit_events_tenant_id_at_idx", "tenant_id", "at", "id"),
    *(
        Index(f"audit_events_{name}_idx", "tenant_id", name, "at", "id")
        for name in ("actor", "action", "target_id", "outcome", "address", "request_id")
    ),
)
_UNCHAINED = audit_events.c.sequence.is_(None)
Index(
    "audit_events_unchained_idx",
    audit_events.c.tenant_id,
    audit_events.c.at,
    audit_events.c.id,
    postgresql_where=_UNCHAINED,
    sqlite_where=_UNCHAINED,
)
_CHAINED = audit_events.c.sequence.is_not(None)
Index(
    "audit_events_sequence_key",
    audit_events.c.tenant_id,
    audit_events.c.sequence,
    unique=True,
    postgresql_where=_CHAINED,
    sqlite_where=_CHAINED,
)

audit_chains = Table(
    "audit_chains",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of the last entry; 0 before the first
    Column("hash", LargeBinary, nullable=False),  # of the last entry
    at("at", nullable=True),  # when the checkpoint of the last entry was signed
    Column("key_id", Id),
    Column("signature", LargeBinary),
    Column("kept_sequence", BigInteger, nullable=False),  # of the last checkpoint in `audit_checkpoints`
    at("kept_at", nullable=True),
    Column("cut_sequence", BigInteger, nullable=False),  # of the last entry that retention removed; 0: none
    Column("cut_hash", LargeBinary),
    at("cut_at", nullable=True),
    Column("cut_key_id", Id),
    Column("cut_signature", LargeBinary),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    at("at"),
    Column("key_id", Id, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

audit_keys = Table(
    "audit_keys",
    metadata,
    own_id(),  # of the public key's hash
    Column("sealed_key", LargeBinary, nullable=False),
    at("created_at"),
    at("retired_at", nullable=True),
    Column("in_use", Integer, unique=True),  # 1 of the key that signs, null of the others
)

audit_counts = Table(  # of hours that are not over; nothing is null, since all of it is the key
    "audit_counts",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    at("hour", primary_key=True),
    Column("actor", String(320), primary_key=True),
    Column("actor_kind", String(20), primary_key=True),
    Column("action", String(64), primary_key=True),
    Column("target_type", String(64), primary_key=True),
    Column("target_id", String(64), primary_key=True),
    Column("outcome", String(20), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("times", BigInteger, nullable=False),
    at("first_at"),
    at("last_at"),
    Index("audit_counts_hour_idx", "hour"),
)

audit_sent = Table(  # how far each log has been sent to a collector
    "audit_sent",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of the last entry that the collector has taken
    at("claimed_until"),  # until then, others leave it alone
)
