"""What is remembered of providers is bounded, however many origins are named."""

import time

import pytest

from keyrack.errors import ProviderUnavailable
from keyrack.service.refresh.gate import Circuit, Gate, Limits


async def test_of_many_origins_the_idle_and_oldest_are_forgotten() -> None:
    gate = Gate(Limits(failures=1, pause=3600.0, longest_pause=3600.0), time.monotonic)
    async with gate.admit("https://in-use.example"):
        for number in range(10_050):
            async with gate.admit(f"https://{number}.example") as admission:
                admission.answered()
            if number == 9_000:
                async with gate.admit("https://failing.example") as admission:
                    admission.failed()
        known = gate.circuits()
        assert len(known) <= 10_000
        assert known["https://in-use.example"] == (Circuit.closed, 1)
        assert known["https://failing.example"] == (Circuit.open, 0)
        assert "https://0.example" not in known
        assert "https://10049.example" in known


async def test_one_that_is_asked_again_is_not_the_oldest() -> None:
    gate = Gate(Limits(), time.monotonic)
    for number in range(10_500):
        async with gate.admit(f"https://{number}.example"), gate.admit("https://often.example"):
            pass
    assert "https://often.example" in gate.circuits()


async def test_a_refused_call_leaves_nothing_behind() -> None:
    gate = Gate(Limits(failures=1, pause=3600.0, longest_pause=3600.0), time.monotonic)
    async with gate.admit("https://failing.example") as admission:
        admission.failed()
    with pytest.raises(ProviderUnavailable) as refused:
        async with gate.admit("https://failing.example"):
            pass
    assert (refused.value.meta or {})["reason"] == "circuit_open"
    for number in range(10_001):
        async with gate.admit(f"https://{number}.example"):
            pass
    assert "https://failing.example" not in gate.circuits(), "nobody uses it"
