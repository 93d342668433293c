"""When a token is due and when a failed refresh is tried again, at given times (contract 0.12, 0.13)."""

from datetime import UTC, datetime, timedelta

import pytest

from keyrack.ids import new_id
from keyrack.service.secrets.refresh.schedule import Schedule, share

ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MANY = [new_id() for _ in range(500)]


def before_expiry(schedule: Schedule, lifetime: float) -> float:
    """Return how many seconds before its expiry a token is due that lives so many seconds."""
    expires_at = ISSUED + lifetime * SECOND
    return (expires_at - schedule.due(ISSUED, expires_at)) / SECOND


def ahead_of_due(secret_id: str, lifetime: float) -> float:
    """Return how many seconds before a token is due the background refreshes it."""
    expires_at = ISSUED + lifetime * SECOND
    due = Schedule().due(ISSUED, expires_at)
    return (due - Schedule().background_due(secret_id, ISSUED, expires_at)) / SECOND


@pytest.mark.parametrize(
    ("lead", "lifetime", "seconds"),
    [
        (30, 3600, 30),
        (30, 301, 30),
        (30, 300, 30),
        (30, 299, 29.9),
        (30, 100, 10),
        (30, 1, 0.1),
        (30, 0, 0),
        (600, 3600, 360),
        (600, 86_400, 600),
        (0, 3600, 0),
    ],
)
def test_a_token_is_due_by_the_lead_or_in_its_last_tenth_if_that_is_shorter(
    lead: float, lifetime: float, seconds: float
) -> None:
    assert before_expiry(Schedule(lead=lead * SECOND), lifetime) == pytest.approx(seconds)


@pytest.mark.parametrize(("lifetime", "most"), [(60, 6), (3600, 360), (6000, 600), (30 * 86_400, 600)])
def test_the_background_comes_earlier_by_up_to_a_tenth_and_ten_minutes_at_most(lifetime: float, most: float) -> None:
    ahead = [ahead_of_due(secret_id, lifetime) for secret_id in MANY]
    assert min(ahead) >= 0, "never later than it is due"
    assert max(ahead) <= most
    assert min(ahead) < most / 10, "the whole width is used"
    assert max(ahead) > most * 9 / 10
    assert len(set(ahead)) > 400


def test_the_spread_of_a_grant_is_the_same_in_every_process() -> None:
    assert [round(share(name), 6) for name in ("", "a", "0123456789abcdef01234567")] == [0.889416, 0.791374, 0.532806]
    assert ahead_of_due("a", 3600) == pytest.approx(0.791374 * 360, abs=0.001)


def test_a_token_is_never_due_before_it_was_issued() -> None:
    for lifetime in (-60, 0, 1):
        assert Schedule().background_due(MANY[0], ISSUED, ISSUED + lifetime * SECOND) >= ISSUED


def waits(failures: int, retry_after: int | None = None) -> list[float]:
    schedule = Schedule()
    return [(schedule.retry(failures, ISSUED, retry_after) - ISSUED) / SECOND for _ in range(300)]


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (8, 640), (9, 900), (10, 900), (17, 900), (10_000, 900)],
)
def test_waits_double_up_to_a_quarter_of_an_hour_spread_over_their_upper_half(failures: int, seconds: float) -> None:
    many = waits(failures)
    assert seconds / 2 <= min(many) < seconds * 0.55
    assert seconds * 0.95 < max(many) <= seconds
    assert len(set(many)) > 200


def test_nothing_is_tried_before_the_time_that_a_provider_asked_for() -> None:
    assert set(waits(1, retry_after=60)) == {60}
    assert set(waits(3, retry_after=86_400)) == {86_400}, "the longest wait of our own is no limit to it"
    assert min(waits(9, retry_after=500)) >= 500
    assert max(waits(9, retry_after=500)) > 800, "it is the least, and not the wait"
    assert max(waits(1, retry_after=0)) > 4
