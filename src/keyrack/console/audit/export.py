"""Writes audit events as a file, a few at a time: JSON lines for programs, CSV for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from keyrack.clock import iso
from keyrack.model.audit import AuditEvent

_COLUMNS = (
    "at", "actor", "actor_kind", "action", "target_type", "target_id", "outcome", "times", "first_at", "address",
    "request_id", "id", "sequence", "hash",
)  # fmt: skip
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for a formula at the beginning of a cell, in full width too (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is written.

    Attributes:
        ending: of its name.
        media_type: of the answer.
        begin: what stands before the first event.
        write: writes some events.
    """

    ending: str
    media_type: str
    begin: str
    write: Callable[[Sequence[AuditEvent]], bytes]


async def exported(
    form: Format, first: Sequence[AuditEvent], later: AsyncIterator[Sequence[AuditEvent]]
) -> AsyncIterator[bytes]:
    """Yield a file piece by piece; what comes later is read when the reader has taken what came before."""
    yield form.begin.encode() + form.write(first)
    async for some in later:
        yield form.write(some)


def _values(event: AuditEvent) -> dict[str, str | int | None]:
    return {
        "at": iso(event.at),
        "actor": event.actor,
        "actor_kind": event.actor_kind.value,
        "action": event.action,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "outcome": event.outcome,
        "times": event.times,
        "first_at": None if event.first_at is None else iso(event.first_at),
        "address": event.address,
        "request_id": event.request_id,
        "id": event.id,
        "sequence": event.sequence,
        "hash": None if event.hash is None else event.hash.hex(),
    }


def _lines(events: Sequence[AuditEvent]) -> bytes:
    return b"".join(msgspec.json.encode(_values(event)) + b"\n" for event in events)


def _rows(events: Sequence[AuditEvent]) -> bytes:
    written = io.StringIO()
    rows = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for event in events:
        values = _values(event)
        rows.writerow([harmless(str(values[name] or "")) for name in _COLUMNS])
    return written.getvalue().encode("utf-8", "replace")


def harmless(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula: an apostrophe stands before such a one."""
    return f"'{text}" if text.lstrip(" ").startswith(_BEGINS_A_FORMULA) else text


FORMATS: Mapping[str, Format] = {
    "jsonl": Format("jsonl", "application/x-ndjson", "", _lines),
    "csv": Format("csv", "text/csv; charset=utf-8", ",".join(f'"{name}"' for name in _COLUMNS) + "\r\n", _rows),
}
"""By the parameter `format`."""
