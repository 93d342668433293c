"""The clock: the only place that asks the machine what time it is; tests hand in their own."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""A clock returns the current time, aware, in UTC."""


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Format a time as the API prints it: ISO 8601, UTC, milliseconds, `Z` (contract section 1)."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def epoch_ms(moment: datetime) -> int:
    """Return a time as whole milliseconds since 1970 (contract section 1, `version.attributes.date`)."""
    return int(moment.timestamp() * 1000)
