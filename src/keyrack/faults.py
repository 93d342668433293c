"""Logging what was not expected, without its text."""

import traceback
from pathlib import Path

import structlog

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
