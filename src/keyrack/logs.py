"""Sets up logging with structlog, and logs unexpected errors; never a request's values or a traceback's locals."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

import msgspec
import structlog

from keyrack import tracing
from keyrack.settings import Settings
from keyrack.visible import json_text, visible, visible_in


def configure(settings: Settings) -> None:
    """Set logging up for this process."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: list[Any] = [_visible, structlog.dev.ConsoleRenderer()] if console else [_json]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _traced,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    # Libraries' own messages can hold values of requests; only their warnings are let through.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _Unfailing:
    """Writes lines where they can be written: what is done must not fail because a log's disk is full.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line, or count it as lost."""
        try:
            return self._stream.write(text)
        except OSError:
            self._lost += 1
            return len(text)

    def flush(self) -> None:
        """Force it out; once that succeeds again, say how many lines were perhaps lost.

        Written here, not logged: whoever logs holds a lock meanwhile.
        """
        with suppress(OSError):
            self._stream.flush()
            if self._lost:
                told = {"event": "the log could not be written for a while", "level": "warning", "lines": self._lost}
                self._stream.write(json_text(told) + "\n")
                self._stream.flush()
                self._lost = 0


_PLAIN = frozenset({str, int, float, bool, type(None)})
_encode = msgspec.json.Encoder().encode
_render = structlog.processors.JSONRenderer(json_text)


def _json(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """Write an event as JSON in visible ASCII; what is plain, as a request's line is, in less than half the time."""
    if _PLAIN.issuperset(map(type, event.values())):
        try:
            line = msgspec.json.format(_encode(event), indent=0)
        except UnicodeEncodeError:  # half a surrogate pair
            line = b"\x7f"
        if line.isascii() and b"\x7f" not in line:
            return line.decode()
    return cast("str", _render(logger, method, event))


def _traced(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say to which trace a line belongs, if one is being taken."""
    if (trace_id := tracing.trace_id()) is not None:
        event["trace_id"] = trace_id
    return event


def _visible(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Write what a terminal would obey so that it is read; the processor before the console's renderer."""
    return {name: visible_in(value) for name, value in event.items()}


class _Visible(logging.Formatter):
    """Does the same for what libraries log."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return a record's own line, which stays one."""
        return visible(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's lines; those of a traceback stay apart."""
        return "\n".join(visible(line) for line in super().format(record).split("\n"))


log = structlog.get_logger()

_PACKAGE = str(Path(__file__).parent)
_FRAMES = 8


def log_fault(error: BaseException, event: str = "fault", **context: str) -> None:
    """Log an unexpected exception: its type and where it happened, never its text, which might hold a secret.

    Args:
        error: what was raised.
        event: what was being done.
        context: ids and names that help to find the cause; nothing secret.
    """
    stack = traceback.extract_tb(error.__traceback__)
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
    if len(frames) > 2 * _FRAMES:  # a library's own can be dozens; without ours nobody could tell what was being done
        ours = [text for frame, text in zip(stack, frames, strict=True) if frame.filename.startswith(_PACKAGE)]
        frames = [*ours[-_FRAMES:], "...", *frames[-_FRAMES:]]
    cause = type(error.__cause__).__qualname__
    log.error(event, error=type(error).__qualname__, cause=cause, frames=frames, **context)
