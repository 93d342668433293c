"""Counts what would be too much to write down each time, such as reads of tokens, for the audit log of the hour.

Each process counts in memory, adds to the table every few seconds and when it stops, and a worker turns what was
counted in an hour into entries of the logs when it is over. A process that is killed loses what it counted since it
last wrote.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice

from keyrack.background import NowAndThen
from keyrack.clock import Clock
from keyrack.model.audit import CountedAct, CountedEvent
from keyrack.model.identity import Principal
from keyrack.store.audit_counts import BATCH, AuditCounts
from keyrack.store.audit_log import ADDRESS_LENGTH, AuditLog
from keyrack.store.core.store import Store

INTERVAL = 10.0
_MOST = 100_000
"""Acts that are told apart at most between two writings; of more, it is not told what they were done to."""
_MOST_AT_ALL = 200_000
_LATE = timedelta(minutes=2)
"""How long after an hour's end processes may add to it."""

_Key = tuple[str, str, str, str | None, str | None, str]


class _Count:
    """How often, for the first and the last time."""

    __slots__ = ("first", "last", "times", "what")

    def __init__(self, what: CountedAct, now: datetime) -> None:
        self.what, self.times, self.first, self.last = what, 0, now, now


class AuditCounter:
    """Counts.

    Args:
        store: where counts are written.
        clock: the time.
        interval: seconds between two writings.
    """

    def __init__(self, store: Store, clock: Clock, interval: float = INTERVAL) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[_Key, _Count] = {}
        self._lost = 0
        self._writing = NowAndThen(
            "audit counts", self.flush, interval, "what was counted for the audit log could not be written"
        )

    def note(
        self,
        who: Principal,
        address: str | None,
        tenant_id: str,
        action: str,
        target_type: str,
        target_id: str | None,
        outcome: str = "allowed",
    ) -> None:
        """Count that somebody did something just now. Cheap, never waits, never fails.

        Args:
            who: the caller.
            address: from where; for those of whom only the address is not known to `who`.
            tenant_id: whose log it belongs into.
            action: what, as the audit log calls it.
            target_type: to what kind of thing.
            target_id: to which.
            outcome: how it ended.
        """
        key = (tenant_id, who.id or who.name, action, target_id, address, outcome)
        count = self._counts.get(key)
        if count is None:
            count = self._new(key, who, target_type)
            if count is None:
                return
        count.times += 1
        count.last = self._clock()

    def _new(self, key: _Key, who: Principal, target_type: str) -> _Count | None:
        tenant_id, _, action, target_id, address, outcome = key
        if len(self._counts) >= _MOST and target_id is not None:
            target_id = None
            key = (tenant_id, key[1], action, None, address, outcome)
            if key in self._counts:
                return self._counts[key]
        if len(self._counts) >= _MOST_AT_ALL:
            self._lost += 1
            return None
        shown = address[:ADDRESS_LENGTH] if address else None
        what = CountedAct(tenant_id, who.name, who.kind, action, target_type, target_id, outcome, shown)
        self._counts[key] = count = _Count(what, self._clock())
        return count

    async def flush(self) -> int:
        """Write down what was counted; return how many acts were told apart.

        Raises:
            DatabaseUnavailable: the database is gone; what is not written stays counted.
        """
        counts, self._counts = self._counts, {}
        done = 0
        try:
            while counts:
                batch = dict(islice(counts.items(), BATCH))
                events = [CountedEvent(each.what, each.times, each.first, each.last) for each in batch.values()]
                async with self._store.installation(writes=True) as unit:
                    await AuditCounts(unit).add(_merged(events))
                for key in batch:
                    del counts[key]
                done += len(batch)
        finally:
            self._put_back(counts)
        return done

    def _put_back(self, counts: dict[_Key, _Count]) -> None:
        for key, count in counts.items():
            known = self._counts.get(key)
            if known is None:
                self._counts[key] = count
            else:
                known.times += count.times
                known.first = count.first

    async def start(self) -> None:
        """Begin to write now and then."""
        self._writing.start()

    async def close(self) -> None:
        """Write a last time and stop."""
        await self._writing.close()


def _merged(events: Sequence[CountedEvent]) -> Sequence[CountedEvent]:
    """Put together what is one act in the log, such as of two users who had the same name one after the other."""
    found: dict[CountedAct, CountedEvent] = {}
    for event in events:
        known = found.get(event.what)
        if known is not None:
            first, last = min(known.first_at, event.first_at), max(known.last_at, event.last_at)
            event = CountedEvent(event.what, known.times + event.times, first, last)  # noqa: PLW2901 - both together
        found[event.what] = event
    return list(found.values())


class AuditHours:
    """Turns what was counted into entries of the logs.

    Args:
        store: all data.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tick(self) -> int:
        """Write entries of hours that are over, a share of them; return how many, 0 if there were none.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        async with self._store.installation(writes=True) as unit:
            taken = await AuditCounts(unit).take_over(unit.clock() - _LATE)
            for tenant_id, events in groupby(sorted(taken, key=_owner), _owner):
                await AuditLog(unit.of_tenant(tenant_id)).append_counted(list(events))
        return len(taken)

    async def write_now(self, tenant_id: str) -> None:
        """Write entries of all that was counted for one log until now; what comes later gets entries of its own."""
        taken = BATCH
        while taken == BATCH:
            async with self._store.installation(writes=True) as unit:
                events = await AuditCounts(unit).take_all(tenant_id)
                if events:
                    await AuditLog(unit.of_tenant(tenant_id)).append_counted(events)
            taken = len(events)


def _owner(event: CountedEvent) -> str:
    return event.what.tenant_id
