"""Keeps provider answers that could not be stored in the database in sealed local files until they can.

One file an answer, written whole and forced to disk before it counts: fsync of the folder above, in which this one may
be new, fsync of the file, rename, fsync of the folder.
All processes that share the home folder share the spool, so any of them brings in what a dead one left.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

_SUFFIX = ".answer"


class Spooled(msgspec.Struct, frozen=True):
    """An answer in the spool."""

    tenant_id: str
    attempt_id: str
    sealed: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder of sealed answers.

    Attributes:
        folder: made when it is first needed, for its owner alone.
    """

    folder: Path

    def put(self, answer: Spooled) -> None:
        """Keep an answer.

        Raises:
            OSError: it could not be forced to disk. It may be there all the same, whole, while the power stays.
        """
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the home, which is refused when it is open
        self.folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(self.folder.parent)  # always, since whoever made the folder may not have come as far as this
        target = self.folder / (answer.attempt_id + _SUFFIX)
        partial = target.with_suffix(".partial")
        try:
            _write(partial, msgspec.msgpack.encode(answer))
            partial.replace(target)
            _sync_folder(self.folder)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def all(self) -> Sequence[Spooled]:
        """Return all answers, oldest first; files that are not whole are passed over."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in sorted(self.folder.glob("*" + _SUFFIX)):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found.append(msgspec.msgpack.decode(path.read_bytes(), type=Spooled))
        return found

    def count(self) -> int:
        """Return how many answers there are."""
        return sum(1 for _ in self.folder.glob("*" + _SUFFIX)) if self.folder.is_dir() else 0

    def drop(self, attempt_id: str) -> None:
        """Forget an answer; one that is gone already is fine."""
        (self.folder / (attempt_id + _SUFFIX)).unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, opened for its owner alone
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
