"""Identifiers: 24 lowercase hex characters that sort by time of creation (contract section 1)."""

import itertools
import re
import secrets
import time
from datetime import datetime

from keyrack.clock import epoch_ms

_ID = re.compile(r"[0-9a-f]{24}")
_MOST_IN_A_MILLISECOND = 0xFFFF
_counter = itertools.count()
_last_ms = 0


def new_id() -> str:
    """Return a new id: 48 bits of milliseconds, 16 bits of sequence, 32 random bits.

    Ids made by one process sort in the order they were made, also when the clock steps back;
    ids of several processes sort by millisecond. They are names, never proof of access.
    """
    global _last_ms, _counter
    ms = time.time_ns() // 1_000_000
    if ms > _last_ms:
        _last_ms, _counter = ms, itertools.count()
    sequence = next(_counter)
    if sequence > _MOST_IN_A_MILLISECOND:
        _last_ms, _counter = _last_ms + 1, itertools.count(1)
        sequence = 0
    return f"{_last_ms:012x}{sequence:04x}{secrets.randbits(32):08x}"


def first_id_at(moment: datetime) -> str:
    """Return what sorts before all ids that are made at or after a time, and after those made before it."""
    return f"{max(0, epoch_ms(moment)):012x}" + "0" * 12


def new_revision() -> str:
    """Return a new revision for a component version or a flow version: 40 lowercase hex characters."""
    return secrets.token_hex(20)


def is_id(text: str) -> bool:
    """Tell whether a text has the form of an id; a malformed one is treated as unknown, never as an error."""
    return _ID.fullmatch(text) is not None
