"""Logging what was not expected, without its text."""

import traceback

import structlog

log = structlog.get_logger()

_FRAMES = 12


def log_fault(error: BaseException, event: str = "fault", **context: str) -> None:
    """Log an unexpected exception: its type and where it happened, never its text, which might hold a secret.

    Args:
        error: what was raised.
        event: what was being done.
        context: ids and names that help to find the cause; nothing secret.
    """
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    cause = type(error.__cause__).__qualname__
    log.error(event, error=type(error).__qualname__, cause=cause, frames=frames[-_FRAMES:], **context)
