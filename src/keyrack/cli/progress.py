"""Shows the progress of a long command: a bar on a terminal, else a line a section. On standard error."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Steps:
    """Shows sections one after the other; nothing of a record is ever shown."""

    def __init__(self) -> None:
        """Begin with nothing to show."""
        console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._line: tuple[str, int, int] | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End with what was reached."""
        self._finish()
        if self._bar is not None:
            self._bar.stop()

    def section(self, doing: str, name: str, total: int) -> None:
        """Begin with a section of so many records."""
        self._finish()
        if total == 0:
            return
        if self._bar is not None:
            self._task = self._bar.add_task(f"{doing} {name}", total=total)
        else:
            self._line = (f"{doing} {name}", 0, total)

    def advance(self, count: int) -> None:
        """So many more are done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
        elif self._line is not None:
            text, done, total = self._line
            self._line = (text, done + count, total)

    def _finish(self) -> None:
        if self._line is not None:
            text, done, total = self._line
            sys.stderr.write(f"{text}: {done} of {total}\n")
        self._line, self._task = None, None
