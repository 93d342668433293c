"""Lays rows out as aligned columns. A value is never cut or folded: an id or a time can be copied as it stands."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from keyrack.visible import visible

_GAP, _INDENT = "  ", "  "
_NOTHING = "-"


def shown(value: Any) -> str:
    """Return a value in one line as people read it; `-` for none, so that every column has something in it."""
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    elif isinstance(value, Mapping):
        value = json.dumps(value, ensure_ascii=False)
    return _NOTHING if value is None or value == "" else visible(str(value))


class Table:
    """Columns of a fixed order, whatever is in them.

    Args:
        columns: their names.
        width: characters of the terminal; None: as wide as it takes, one row a line, for a pipe or a file.
    """

    def __init__(self, columns: Sequence[str], width: int | None) -> None:
        self._columns = tuple(columns)
        self._width = width
        self._widths = dict.fromkeys(self._columns, 0)
        self.fit([{name: name for name in self._columns}])

    def fit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Widen the columns to what is in some rows."""
        for row in rows:
            for name in self._columns:
                self._widths[name] = max(self._widths[name], _length(shown(row[name])))

    def header(self) -> list[str]:
        """Return the lines with the names of the columns."""
        return self.row({name: name for name in self._columns})

    def row(self, row: Mapping[str, Any]) -> list[str]:
        """Return a row's lines: one, or as many as a narrow terminal takes, all but the first indented."""
        made: list[str] = []
        for group in self._groups():
            cells = [_padded(shown(row[name]), self._widths[name]) for name in group]
            made.append((_INDENT if made else "") + _GAP.join(cells).rstrip())
        return made

    def _groups(self) -> list[list[str]]:
        """Return the columns of each line."""
        groups: list[list[str]] = [[]]
        taken = 0
        for name in self._columns:
            needed = taken + len(_GAP) * bool(groups[-1]) + self._widths[name]
            if self._width is not None and groups[-1] and needed > self._width:
                groups.append([])
                needed = len(_INDENT) + self._widths[name]
            groups[-1].append(name)
            taken = needed
        return groups


def _length(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _length(text))
