"""Reads the `Retry-After` header (RFC 9110 section 10.2.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_WAIT = 24 * 3600


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Return how many seconds a server wants us to wait, 0 to a day, or None when it does not say.

    A date is measured against the server's own `Date` header, so that a wrong clock on either side does not
    matter; without that header it is ignored.

    Args:
        headers: response headers, names in lower case.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return _MAX_WAIT if len(value) > len(str(_MAX_WAIT)) else min(int(value), _MAX_WAIT)
    until, since = _date(value), _date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max(int((until - since).total_seconds()), 0), _MAX_WAIT)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
