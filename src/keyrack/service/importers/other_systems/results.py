"""Says what an import is asked to do, and why an entry is left out."""

from dataclasses import dataclass

from keyrack.errors import KeyrackError, ValidationFailed
from keyrack.service.importers.other_systems.entries import EntryKind, EntryResult, Outcome
from keyrack.service.importers.other_systems.target import Target

_MOST = 5


@dataclass(frozen=True, slots=True)
class Import:
    """What an import is asked to do.

    Attributes:
        target: where entries go.
        batch_name: tells imports from one system apart.
        dry_run: write nothing, and tell what would become of each entry.
    """

    target: Target
    batch_name: str
    dry_run: bool = False


def left_out(kind: EntryKind, external_id: str, error: KeyrackError | str) -> EntryResult:
    """Return that an entry cannot be brought, and why: nothing of its values."""
    if isinstance(error, ValidationFailed):
        error = "; ".join(_said(each.pointer, each.detail) for each in error.problems[:_MOST])
    return EntryResult(kind, external_id, Outcome.left_out, why=str(error))


def _said(pointer: str | None, detail: str) -> str:
    name = (pointer or "").removeprefix("/data/attributes/credentials").strip("/")
    return f"{name}: {detail}" if name and not detail.startswith(name) else detail
