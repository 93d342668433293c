"""When a delivery or a revocation that failed is tried again, and when that ends, at a given time."""

from datetime import UTC, datetime, timedelta

import pytest

from keyrack.service.jobs.backoff import BackOff
from keyrack.service.secrets.revocation import BACK_OFF as REVOCATIONS
from keyrack.service.webhooks.delivery import BACK_OFF as DELIVERIES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MANY = 200

WAITS = [
    pytest.param(DELIVERIES, (5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600, 21600), id="deliveries"),
    pytest.param(REVOCATIONS, (5, 30, 180, 1080), id="revocations"),
    pytest.param(
        BackOff(first=10 * SECOND, factor=3, longest=60 * SECOND, tries=5), (10, 30, 60, 60), id="up to its longest"
    ),
]
"""Seconds at least; a fifth more at most."""


def waits(back_off: BackOff, made: int, retry_after: int | None = None) -> list[float]:
    times = [back_off.next_try(made, NOW, retry_after) for _ in range(MANY)]
    return [(at - NOW) / SECOND for at in times if at is not None]


@pytest.mark.parametrize(("back_off", "seconds"), WAITS)
def test_waits_grow_to_a_longest_spread_by_up_to_a_fifth_and_end_after_the_last_try(
    back_off: BackOff, seconds: tuple[int, ...]
) -> None:
    for made, least in enumerate(seconds, start=1):
        many = waits(back_off, made)
        assert least <= min(many) < least * 1.02
        assert least * 1.18 < max(many) <= least * 1.2
        assert len(many) == MANY
        assert len(set(many)) > MANY / 2, "what failed together is not tried together"
    last = len(seconds) + 1
    assert waits(back_off, last) == []
    assert waits(back_off, last + 1) == []
    assert waits(back_off, last, retry_after=60) == [], "what the other side asks for makes no further try"


@pytest.mark.parametrize(("back_off", "hours"), [(DELIVERIES, (22, 32)), (REVOCATIONS, (0.3, 0.5))])
def test_it_is_given_up_after_about_a_day_or_half_an_hour(back_off: BackOff, hours: tuple[float, float]) -> None:
    assert back_off.tries is not None
    in_all = sum(waits(back_off, made)[0] for made in range(1, back_off.tries)) / 3600
    assert hours[0] <= in_all <= hours[1]


def test_never_before_the_time_that_was_asked_for_and_no_sooner_than_planned_for_it() -> None:
    assert set(waits(DELIVERIES, 1, retry_after=3600)) == {3600}
    assert set(waits(DELIVERIES, 9, retry_after=86_400)) == {86_400}, "our own longest wait is no limit to it"
    assert min(waits(DELIVERIES, 2, retry_after=1)) >= 20
    assert min(waits(DELIVERIES, 2, retry_after=0)) >= 20
    near = waits(DELIVERIES, 2, retry_after=22)
    assert min(near) == 22
    assert max(near) > 23, "it is the least, and not the wait"
