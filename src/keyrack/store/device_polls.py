"""When authorization servers are asked whether a person has entered a device's code, for workers to claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, null, select, update

from keyrack.clock import epoch_ms
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.store.core.claims import any_due, fairly_due
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import device_polls

_p = device_polls.c
_CLAIMED = (_p.id == bindparam("id"), _p.claim == bindparam("held"))
_HELD = TenantQuery(device_polls, select(_p.id).where(*_CLAIMED).with_for_update())
_POSTPONEMENT = TenantChange(
    device_polls,
    update(device_polls)
    .where(*_CLAIMED)
    .values(
        claim=null(), due_at=bindparam("due"), interval_seconds=bindparam("interval"), failures=bindparam("failed")
    ),
)
_RELEASE = TenantChange(
    device_polls,
    update(device_polls)
    .where(_p.id == bindparam("id"))
    .values(claim=null(), due_at=bindparam("now") + _p.interval_seconds * 1000, failures=_p.failures + 1),
)
_END = TenantChange(device_polls, delete(device_polls).where(_p.id == bindparam("id")))
_CLAIMING = Change(
    update(device_polls)
    .where(_p.id.in_(bindparam("ids", expanding=True)))
    .values(claim=bindparam("name"), due_at=bindparam("until"))
)


@dataclass(frozen=True, slots=True)
class ClaimedPoll:
    """A poll that is ours until its lease ends.

    Attributes:
        id: the consent's.
        tenant_id: whose it is.
        interval: seconds between two polls, as the server wants it by now.
        failures: polls in a row that brought no answer.
        claim: proves that it is ours.
    """

    id: str
    tenant_id: str
    interval: int
    failures: int
    claim: str

    @property
    def slow(self) -> bool:
        """Whether the server did not answer lately."""
        return self.failures > 0

    @property
    def target_id(self) -> str:
        """The consent."""
        return self.id


class DevicePollRows(TenantTable):
    """The polls of the unit's tenant."""

    table = device_polls

    async def add(self, consent_id: str, interval: int, due_at: datetime) -> None:
        """Have a consent's server asked every `interval` seconds, first at a time."""
        await self.insert({"id": consent_id, "interval_seconds": interval, "failures": 0, "due_at": due_at})

    async def hold(self, consent_id: str, claim: str) -> bool:
        """Keep a poll from being claimed by others until the transaction ends; False if somebody else has it."""
        return await self.ask_one(_HELD, id=consent_id, held=claim) is not None

    async def postpone(self, consent_id: str, claim: str, due_at: datetime, interval: int, failures: int) -> None:
        """Ask again at a time, unless somebody else has taken it over."""
        await self.make(_POSTPONEMENT, id=consent_id, held=claim, due=due_at, interval=interval, failed=failures)

    async def release(self, consent_id: str, now: datetime) -> None:
        """Have a poll made again after its interval, whoever has it: its process has died without an answer."""
        await self.make(_RELEASE, id=consent_id, now=epoch_ms(now))

    async def end(self, consent_id: str) -> None:
        """Ask no more."""
        await self.make(_END, id=consent_id)


class DuePolls:
    """Looks across tenants; made from the unit of the installation. What it finds is handed out by tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        return await any_due(self._unit, device_polls)

    async def claim(self, places: Places, lease: timedelta) -> Sequence[ClaimedPoll]:
        """Take on what is due: the longest due first, of each tenant no more than its share.

        Args:
            places: how many can be worked on, and who holds how many of them; what is claimed takes its places there.
            lease: for how long nobody else takes them on.
        """
        now, claim = self._unit.clock(), new_id()
        rows = await fairly_due(self._unit, device_polls, _p.failures > 0, places)
        if rows:
            ids = [row.id for row in rows]
            await _CLAIMING.run(self._unit.connection, ids=ids, name=claim, until=now + lease)
        return [ClaimedPoll(row.id, row.tenant_id, row.interval_seconds, row.failures, claim) for row in rows]
