"""When something that failed is tried again."""

from datetime import UTC, datetime, timedelta

from keyrack.service.webhooks.delivery import BACK_OFF

NOW = datetime(2026, 1, 1, tzinfo=UTC)


WAITS = (5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600, 21600)
"""Seconds at least; a fifth more at most."""


def test_waits_grow_from_seconds_to_about_a_day_in_all() -> None:
    waits = []
    for made in range(1, len(WAITS) + 1):
        at = BACK_OFF.next_try(made, NOW)
        assert at is not None
        waits.append(at - NOW)
    for wait, seconds in zip(waits, WAITS, strict=True):
        assert timedelta(seconds=seconds) <= wait <= timedelta(seconds=seconds * 1.2)
    assert timedelta(hours=22) <= sum(waits, timedelta()) <= timedelta(hours=32)
    assert BACK_OFF.next_try(len(WAITS) + 1, NOW) is None


def test_what_failed_together_is_not_tried_together() -> None:
    assert len({BACK_OFF.next_try(3, NOW) for _ in range(20)}) > 10


def test_never_before_the_time_that_was_asked_for() -> None:
    at = BACK_OFF.next_try(1, NOW, retry_after=3600)
    assert at is not None
    assert at >= NOW + timedelta(hours=1)
