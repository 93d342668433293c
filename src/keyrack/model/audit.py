"""Entries of the audit log (contract 0.16), and what a search for them names."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from keyrack.model.identity import PrincipalKind


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what, when, and whether it was allowed (contract 0.16).

    Attributes:
        times: how often, of what is counted by the hour; None of everything else, which happened once.
        first_at: of what is counted: when for the first time; `at` is the last time.
        sequence: its number in the chain of its log; None: it has no place there yet.
        hash: of its record there.
    """

    id: str
    at: datetime
    actor: str
    actor_kind: PrincipalKind
    action: str
    target_type: str
    target_id: str | None
    outcome: str
    address: str | None
    request_id: str | None
    times: int | None = None
    first_at: datetime | None = None
    sequence: int | None = None
    hash: bytes | None = None


class CountedAct(NamedTuple):
    """What is counted by the hour instead of being written down each time: who does what to what, from where.

    Attributes:
        tenant_id: whose log it belongs into; empty: the installation's.
        target_id: None: more things than are told apart.
    """

    tenant_id: str
    actor: str
    actor_kind: PrincipalKind
    action: str
    target_type: str
    target_id: str | None
    outcome: str
    address: str | None


class CountedEvent(NamedTuple):
    """How often that was done, and when for the first and the last time."""

    what: CountedAct
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted; None narrows nothing.

    Attributes:
        since: only events at or after this time.
        until: only events before this time.
    """

    actor: str | None = None
    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    outcome: str | None = None
    address: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """A place in the order of the log: that of the event with this time and id."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """An event in its place in the chain of its log.

    Attributes:
        event: it.
        sequence: its number, from 1.
        hash: of its record, in which the hash of the entry before stands: 32 bytes.
    """

    event: AuditEvent
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Says that a chain reached an entry, signed.

    Attributes:
        sequence: of the entry; 0: before the first.
        hash: of the entry.
        at: when this was signed.
        key_id: of the key that signed it.
        signature: over the record of it, 64 bytes.
    """

    sequence: int
    hash: bytes
    at: datetime
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class AuditChainHead:
    """Where the chain of a log begins and ends.

    Attributes:
        sequence: of the last entry; 0: there is none.
        hash: of the last entry.
        checkpoint: of the last entry; None: there never was an entry.
        cut: of the last entry that retention removed; None: it removed none.
        kept_sequence: of the last checkpoint that is kept.
        kept_at: when that was signed.
    """

    sequence: int
    hash: bytes
    checkpoint: Checkpoint | None
    cut: Checkpoint | None
    kept_sequence: int
    kept_at: datetime | None
