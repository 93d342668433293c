"""The clock of leases: the database server's on PostgreSQL, and the machine's time since boot on SQLite.

Never a process's own, so no clock that jumps on a machine that runs Keyrack makes two processes refresh one grant.
"""

import time
from math import ceil, floor, inf
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit

_LOOKS, _NARROW_MS, _KNOWN_SECONDS, _LEARNED_SECONDS = 3, 5.0, 10.0, 1.0


class lease_now(FunctionElement[int]):  # noqa: N801 - reads as a function of the database
    """The time of the lease clock, whole milliseconds; where the database has none, the parameter that it is given."""

    type = BigInteger()
    inherit_cache = True
    name = "lease_now"


@compiles(lease_now, "postgresql")
def _postgresql_now(element: lease_now, compiler: SQLCompiler, **more: Any) -> str:
    del element, compiler, more
    return "CAST(EXTRACT(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(lease_now, "sqlite")
def _sqlite_now(element: lease_now, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.clauses, **more)


LEASE_NOW: ColumnElement[int] = lease_now(bindparam("lease_now", type_=BigInteger))
"""What the lease clock shows; on SQLite the parameter of this name, which is `since_boot_ms()`."""
_SHOWN = Query(select(LEASE_NOW.label("shown")))


class LeaseTime:
    """Puts moments of this process on the lease clock, so that what happened in several processes can be ordered.

    A moment is a reading of `time.monotonic`. How far both clocks are apart is known only as well as one question to
    the database is quick, so it is known as a range, which further questions narrow, and which is forgotten after a
    while, or when the lease clock has stepped.
    """

    def __init__(self) -> None:
        self._apart: tuple[float, float] = (-inf, inf)
        self._since = -inf
        self._learned = -inf

    async def earliest(self, unit: Unit, moment: float) -> int:
        """Return what the lease clock showed at a moment, at the least; whole milliseconds.

        Nothing is asked if what was learned last, a moment ago, is exact enough.
        """
        if not self._is_narrow or time.monotonic() - self._learned > _LEARNED_SECONDS:
            await self._look(unit)
        return floor(moment * 1000 + self._apart[0])

    async def is_before(self, unit: Unit, moment: float, answered_ms: int | None) -> bool:
        """Tell whether a moment was certainly before an answer.

        Args:
            unit: any of the database in force.
            moment: of this process.
            answered_ms: when the answer came, as `earliest` returned it in whichever process; None: none is known. One
                from the future is from before a reboot, or the lease clock stepped back; it counts as none.
        """
        await self._look(unit)
        at_most = ceil(moment * 1000 + self._apart[1])
        now = time.monotonic() * 1000 + self._apart[1]
        return answered_ms is not None and at_most <= answered_ms <= now

    def learn(self, shown: int, before: float, after: float) -> None:
        """Take note of a reading of the lease clock.

        Args:
            shown: whole milliseconds.
            before: a moment before it was read, a reading of `time.monotonic`.
            after: a moment after it was read.
        """
        low, high = shown - after * 1000, shown + 1 - before * 1000
        known = self._apart if after - self._since < _KNOWN_SECONDS else (-inf, inf)
        if known == (-inf, inf) or not (max(low, known[0]) < min(high, known[1])):
            self._apart, self._since = (low, high), after
        else:
            self._apart = max(low, known[0]), min(high, known[1])
        self._learned = after

    @property
    def _is_narrow(self) -> bool:
        return self._apart[1] - self._apart[0] <= _NARROW_MS

    async def _look(self, unit: Unit) -> None:
        for _ in range(_LOOKS):
            before = time.monotonic()
            shown = await _shown(unit)
            self.learn(shown, before, time.monotonic())
            if self._is_narrow:
                return


async def _shown(unit: Unit) -> int:
    """Return what the lease clock shows now."""
    if unit.connection.dialect.name != "postgresql":
        return since_boot_ms()
    return int((await _SHOWN.rows(unit.connection))[0].shown)


def since_boot_ms() -> int:
    """Return the milliseconds since this machine started, sleep included where it can be known."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000
