"""How long a server wants us to wait: seconds or a date of its own clock, and never longer than a day."""

import pytest

from keyrack.oauth.retry_after import retry_after

DAY = 24 * 3600
NOON = "Wed, 21 Oct 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), (" 30 ", 30), ("86399", 86399), ("86400", DAY), ("86401", DAY), ("9" * 5000, DAY), ("00060", 60),
     ("-1", None), ("1.5", None), ("soon", None), ("", None), ("٣", None)],
)  # fmt: skip
def test_seconds_are_taken_as_they_are_up_to_a_day(value: str, seconds: int | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


@pytest.mark.parametrize(
    ("until", "seconds"),
    [("Wed, 21 Oct 2026 12:01:30 GMT", 90), ("Wed, 21 Oct 2026 14:01:00 +0200", 60), (NOON, 0),
     ("Wed, 21 Oct 2026 11:00:00 GMT", 0), ("Fri, 23 Oct 2026 12:00:00 GMT", DAY),
     ("Wed, 21 Oct 2026 12:01:00 -0000", 60),
     ("Wed, 41 Oct 2026 12:00:00 GMT", None)],
)  # fmt: skip
def test_a_date_is_measured_by_the_servers_own_clock(until: str, seconds: int | None) -> None:
    assert retry_after({"retry-after": until, "date": NOON}) == seconds


def test_a_date_without_the_servers_clock_says_nothing() -> None:
    assert retry_after({"retry-after": NOON}) is None
    assert retry_after({"retry-after": NOON, "date": "today"}) is None
    assert retry_after({"date": NOON}) is None
    assert retry_after({}) is None
