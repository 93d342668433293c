"""Remembers the ids of a file's records, and what was said with them, on the disk: there may be millions.

It is a private file that is gone with the process, and holds ids only.
"""

import sqlite3
from typing import Self


class ToldIds:
    """What a file says, by section and id."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._connection = sqlite3.connect("", isolation_level=None)  # a file without a name, deleted at once
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("BEGIN")
        columns = "section TEXT, id TEXT, first TEXT, second TEXT, PRIMARY KEY (section, id)"
        self._connection.execute(f"CREATE TABLE told ({columns}) WITHOUT ROWID")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget everything."""
        self._connection.close()

    def is_first(self, section: str, record_id: str) -> bool:
        """Note that a section has a record; tell whether it is the first with its id."""
        row = self._connection.execute("INSERT OR IGNORE INTO told (section, id) VALUES (?, ?)", (section, record_id))
        return row.rowcount == 1

    def say(self, section: str, record_id: str, said: tuple[str, str]) -> None:
        """Note where a record is, and what it is of."""
        self._connection.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?) ON CONFLICT (section, id) DO UPDATE SET first = ?3, second = ?4",
            (section, record_id, *said),
        )

    def said(self, section: str, record_id: str) -> tuple[str, str] | None:
        """Return what was noted of a record; None if nothing was."""
        query = "SELECT first, second FROM told WHERE section = ? AND id = ? AND first IS NOT NULL"
        row = self._connection.execute(query, (section, record_id)).fetchone()
        return None if row is None else (row[0], row[1])
