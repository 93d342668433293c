"""When the secret of a client ends at the provider, and on which days before that it is told (decision 27)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyrack.errors import Problem, ValidationFailed
from keyrack.model.clients import NO_EXPIRY, SecretExpiry

REMINDER_DAYS = (30, 14, 7, 1)
"""Days before the end on which it is told; it is told once more when it has come."""

POINTER = "/data/attributes/secret_expires_at"
OUT_OF_RANGE = "must be after 1970 and before the year 9999"
NOTHING_ENDS = "there is no client secret that could end"
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class GivenExpiry:
    """What a caller says of the end of a client's secret: when it ends, or None for "not known"."""

    at: datetime | None


def in_range(at: datetime) -> bool:
    """Tell whether a time can be stored and shown in every time zone."""
    return _FIRST < at < _LAST


def next_reminder(at: datetime, now: datetime) -> datetime | None:
    """Return when the end of a secret is told next, after now; None when it is over."""
    days = sorted([*REMINDER_DAYS, 0], reverse=True)
    return next((moment for each in days if (moment := at - each * _DAY) > now), None)


def days_left(at: datetime, now: datetime) -> int:
    """Return how many days are left, each that has begun counted; 0 when the time has come."""
    return max(0, -((now - at) // _DAY))


def expiry_of(at: datetime | None, now: datetime) -> SecretExpiry:
    """Return the expiry of a secret that ends at a time: what lies ahead of now is told, what is over is not."""
    if at is None:
        return NO_EXPIRY
    exact = at.astimezone(UTC)
    exact = exact.replace(microsecond=exact.microsecond // 1000 * 1000)  # as it is stored
    return SecretExpiry(exact, next_reminder(exact, now))


def new_expiry(given: GivenExpiry | None, now: datetime, *, has_secret: bool) -> SecretExpiry:
    """Return the expiry of a new client's secret.

    Args:
        given: what the caller says of it; None: nothing.
        now: the current time.
        has_secret: whether there is anything that can end.

    Raises:
        ValidationFailed: the time is out of range, or there is no secret.
    """
    return changed_expiry(NO_EXPIRY, given, now, has_secret=has_secret, same_secret=False)


def changed_expiry(
    stored: SecretExpiry, given: GivenExpiry | None, now: datetime, *, has_secret: bool, same_secret: bool
) -> SecretExpiry:
    """Return the expiry of a client's secret after a change.

    A date belongs to one secret: another secret without a date ends at a time that nobody has said.

    Args:
        stored: as it was.
        given: what the caller says of it; None: nothing.
        now: the current time.
        has_secret: whether the client has a secret afterwards.
        same_secret: whether that is the one it had.

    Raises:
        ValidationFailed: the time is out of range, or there is no secret.
    """
    if given is None:
        return stored if same_secret else NO_EXPIRY
    if given.at is not None and not in_range(given.at):
        raise ValidationFailed(Problem(OUT_OF_RANGE, POINTER))
    if given.at is not None and not has_secret:
        raise ValidationFailed(Problem(NOTHING_ENDS, POINTER))
    wanted = expiry_of(given.at, now)
    return stored if wanted.at == stored.at else wanted  # what is due and not told yet stays so
