"""A lifetime is learned only where most grants died at the same age and none lives longer."""

from datetime import timedelta

import pytest

from keyrack.model.grant_reports import LearnedLifetime
from keyrack.service.secrets.grant_forecast import learned

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK = 7 * DAY

NOTHING: tuple[tuple[list[timedelta], timedelta | None, bool], ...] = (
    ([], None, False),
    ([90 * DAY] * 2, None, False),  # two are no pattern
    ([2 * HOUR] * 9, None, False),  # somebody who tries out
    ([10 * DAY, 40 * DAY, 90 * DAY, 200 * DAY], None, False),
    ([90 * DAY] * 3 + [5 * DAY] * 4, None, False),  # most died at another age, but not enough of them
    ([90 * DAY] * 5, 120 * DAY, False),  # one lives longer
    ([WEEK] * 2, None, False),  # seven days are a pattern of Google's
    ([WEEK], None, True),
    ([WEEK] * 3, 9 * DAY, True),
    ([12 * DAY] * 2, None, True),
)


@pytest.mark.parametrize(("deaths", "oldest", "google"), NOTHING)
def test_nothing_is_learned(deaths: list[timedelta], oldest: timedelta | None, *, google: bool) -> None:
    assert learned(deaths, oldest, google=google) is None


def test_a_lifetime_is_learned_of_most_of_those_that_died() -> None:
    deaths = [90 * DAY, 89 * DAY, 91 * DAY, 20 * DAY]
    assert learned(deaths, 80 * DAY, google=False) == LearnedLifetime(90 * DAY, 3)


def test_seven_days_at_google_are_learned_of_two_and_told_exactly() -> None:
    deaths = [WEEK + 3 * HOUR, WEEK + HOUR]
    assert learned(deaths, 6 * DAY, google=True) == LearnedLifetime(WEEK, 2)
