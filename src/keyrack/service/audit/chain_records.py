"""Makes the records of an audit chain of events and checkpoints: the lines of an exported log (docs/audit.md)."""

from datetime import datetime

from keyrack.clock import iso
from keyrack.crypto.audit_chain import FORMAT, AuditKey, Record, canonical, record_hash
from keyrack.model.audit import AuditEvent, ChainedEvent, Checkpoint

CHECKPOINT, CUT, END = "checkpoint", "cut", "end"
"""Kinds of signed records: on the way, in the place of removed entries, and at the end of a file."""


def entry_record(tenant_id: str, event: AuditEvent, sequence: int, previous: bytes) -> dict[str, str | int | None]:
    """Return the record of an event, without its hash.

    Args:
        tenant_id: whose log it is in; empty: the installation's.
        event: it.
        sequence: its number in the chain.
        previous: the hash of the entry before.
    """
    counted: dict[str, str | int | None] = {}
    if event.times is not None and event.first_at is not None:
        counted = {"times": event.times, "first_at": iso(event.first_at)}
    return counted | {
        "type": "entry",
        "tenant": tenant_id,
        "sequence": sequence,
        "previous": previous.hex(),
        "id": event.id,
        "at": iso(event.at),
        "actor": event.actor,
        "actor_kind": event.actor_kind.value,
        "action": event.action,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "outcome": event.outcome,
        "address": event.address,
        "request_id": event.request_id,
    }


def chained(tenant_id: str, event: AuditEvent, sequence: int, previous: bytes) -> ChainedEvent:
    """Return an event in its place after the entry with the hash `previous`."""
    return ChainedEvent(event, sequence, record_hash(entry_record(tenant_id, event, sequence, previous)))


def signed_checkpoint(
    key: AuditKey, kind: str, tenant_id: str, end: ChainedEvent | Checkpoint, now: datetime
) -> Checkpoint:
    """Sign that a chain reached an entry.

    Args:
        key: signs.
        kind: `CHECKPOINT`, `CUT` or `END`.
        tenant_id: as of `entry_record`.
        end: the entry, or a checkpoint of it.
        now: the time.
    """
    record = _unsigned(kind, tenant_id, end.sequence, end.hash, now, key.id)
    return Checkpoint(end.sequence, end.hash, now, key.id, key.sign(record))


def checkpoint_record(kind: str, tenant_id: str, checkpoint: Checkpoint) -> Record:
    """Return the record of a checkpoint, without its signature."""
    return _unsigned(kind, tenant_id, checkpoint.sequence, checkpoint.hash, checkpoint.at, checkpoint.key_id)


def _unsigned(kind: str, tenant_id: str, sequence: int, hashed: bytes, at: datetime, key_id: str) -> Record:
    return {
        "type": kind,
        "tenant": tenant_id,
        "sequence": sequence,
        "hash": hashed.hex(),
        "at": iso(at),
        "key": key_id,
    }


def entry_line(tenant_id: str, entry: ChainedEvent, previous: bytes) -> bytes:
    """Return the line of an entry, as the database has it: with the hash that is stored, right or wrong."""
    record = entry_record(tenant_id, entry.event, entry.sequence, previous)
    return _line({**record, "hash": entry.hash.hex()})


def checkpoint_line(kind: str, tenant_id: str, checkpoint: Checkpoint) -> bytes:
    """Return the line of a checkpoint."""
    record = checkpoint_record(kind, tenant_id, checkpoint)
    return _line({**record, "signature": checkpoint.signature.hex()})


def header_line(tenant_id: str) -> bytes:
    """Return the first line of a file."""
    return _line({"type": "header", "format": FORMAT, "tenant": tenant_id})


def key_line(key_id: str, public: bytes) -> bytes:
    """Return the line of a public key."""
    return _line({"type": "key", "key": key_id, "public_key": public.hex()})


def _line(record: Record) -> bytes:
    return canonical(record) + b"\n"
