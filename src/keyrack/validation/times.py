"""Reads times that people and programs write."""

from datetime import datetime

NOT_A_TIME = "must be a time such as 2026-01-31T12:00:00Z"


def parse_time(text: str) -> datetime | None:
    """Read an ISO 8601 time after 1970 with its zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        in_range = moment.tzinfo is not None and moment.timestamp() > 0
    except (ValueError, OverflowError):
        return None
    return moment if in_range else None
