"""Says times as people do: how long ago, with the exact one beside it."""

from datetime import datetime

_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))
_NOW = 60


def relative(moment: datetime, now: datetime) -> str:
    """Return such as "3 hours ago" or "in 2 days"."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < _NOW:
        return "just now"
    unit, length = next(each for each in _UNITS if abs(seconds) >= each[1])
    count = int(abs(seconds) // length)
    text = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def exact(moment: datetime) -> str:
    """Return a time in full, in UTC."""
    return f"{moment:%d %B %Y, %H:%M:%S} UTC"
