"""The profile counts what py-spy has seen for the right room."""

from bench.profile import shares_of

_BASE = "/home/k/.venv/lib/python3.11/site-packages"
_SERVE = "run (/usr/lib/python3.11/asyncio/runners.py:118);serve (/home/keyrack/src/keyrack/api/core/middleware.py:9)"


def test_a_look_counts_for_what_runs_and_once_for_each_room_that_called_it() -> None:
    stacks = (
        f"{_SERVE} 3\n"
        f"{_SERVE};rows (/home/keyrack/src/keyrack/store/core/unit.py:1);one (/home/keyrack/src/keyrack/store/x.py:2);"
        f"execute ({_BASE}/sqlalchemy/engine/base.py:5) 2\n"
        "_bootstrap (/usr/lib/python3.11/threading.py:1002) 1\n"
    )
    shares = shares_of(stacks)
    assert shares.looks == 6
    assert shares.own == {"keyrack.api": 3, "sqlalchemy": 2, "python threading": 1}
    within = {"python asyncio": 5, "keyrack.api": 5, "keyrack.store": 2, "sqlalchemy": 2, "python threading": 1}
    assert shares.within == within
