"""On which days the end of a client's secret is told, and what becomes of its date (decision 27)."""

from datetime import UTC, datetime, timedelta

import pytest

from keyrack.model.clients import NO_EXPIRY, SecretExpiry
from keyrack.service.clients.secret_expiry import GivenExpiry, changed_expiry, days_left, expiry_of, next_reminder

END = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("before", "days"), [(31, 30), (30, 14), (14, 7), (8, 7), (7, 1), (1, 0), (0.5, 0), (0, None), (-1, None)]
)
def test_the_next_reminder_lies_ahead(before: float, days: int | None) -> None:
    wanted = None if days is None else END - timedelta(days=days)
    assert next_reminder(END, END - timedelta(days=before)) == wanted


@pytest.mark.parametrize(("left", "counted"), [(30, 30), (29.5, 30), (1, 1), (0.1, 1), (0, 0), (-3, 0)])
def test_a_day_that_has_begun_counts(left: float, counted: int) -> None:
    assert days_left(END, END - timedelta(days=left)) == counted


@pytest.mark.parametrize("days", [30, 14, 7, 1, 0])
def test_what_is_told_in_its_moment_has_the_days_of_it(days: int) -> None:
    at = END - timedelta(days=days)
    assert next_reminder(END, at - MOMENT) == at
    assert days_left(END, at) == days


def test_a_date_goes_with_its_secret() -> None:
    now = END - timedelta(days=40)
    stored = SecretExpiry(END, END - timedelta(days=50))  # due, and not told yet

    def after(given: GivenExpiry | None, *, same_secret: bool) -> SecretExpiry:
        return changed_expiry(stored, given, now, has_secret=True, same_secret=same_secret)

    assert after(None, same_secret=True) == stored
    assert after(None, same_secret=False) == NO_EXPIRY
    assert after(GivenExpiry(None), same_secret=True) == NO_EXPIRY
    assert after(GivenExpiry(END + timedelta(microseconds=999)), same_secret=True) == stored
    assert after(GivenExpiry(END), same_secret=False) == stored
    assert after(GivenExpiry(END + MOMENT), same_secret=True) == expiry_of(END + MOMENT, now)
