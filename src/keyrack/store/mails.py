"""Mails that are to be sent: durable, encrypted, wiped when done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, null, update

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import WrongKey
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.store.core.claims import any_due, fairly_due, with_keys
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import TenantChange, TenantTable, Unit
from keyrack.store.schema import mails

_m = mails.c

_CLAIMED = update(mails).where(_m.id == bindparam("id"), _m.claim == bindparam("held"))
_POSTPONEMENT = TenantChange(mails, _CLAIMED.values(claim=null(), due_at=bindparam("due")))
_END = TenantChange(
    mails,
    _CLAIMED.values(
        claim=null(), due_at=null(), sealed_mail=null(), outcome=bindparam("result"), finished_at=bindparam("now")
    ),
)
_CLAIMING = Change(
    update(mails)
    .where(_m.id.in_(bindparam("ids", expanding=True)))
    .values(claim=bindparam("name"), due_at=bindparam("until"), attempts=_m.attempts + 1)
)


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that is ours until its lease ends.

    Attributes:
        id: its id.
        tenant_id: whose it is.
        target: what it is about, as the audit log names it: type and id.
        content: to whom and what; None if it cannot be opened.
        claim: proves that it is ours.
        attempts: how many there were, this one included.
        created_at: when it was written.
        slow: it failed before.
    """

    id: str
    tenant_id: str
    target: tuple[str, str]
    content: Json | None = field(repr=False)
    claim: str
    attempts: int
    created_at: datetime
    slow: bool = False

    @property
    def target_id(self) -> str:
        """The job itself."""
        return self.id


class Mails(TenantTable):
    """The mails of the unit's tenant."""

    table = mails

    async def add(self, target: tuple[str, str], content: Json) -> None:
        """Store a new one, due at once.

        Args:
            target: what it is about, as the audit log names it: type and id.
            content: to whom and what; secret.
        """
        mail_id, now = new_id(), self.unit.clock()
        await self.insert(
            {
                "id": mail_id,
                "target_type": target[0],
                "target_id": target[1],
                "sealed_mail": await self.unit.seal(mails, mail_id, "sealed_mail", content),
                "attempts": 0,
                "due_at": now,
                "created_at": now,
            }
        )

    async def postpone(self, mail_id: str, claim: str, due_at: datetime) -> None:
        """Try again later, unless somebody else has taken it over."""
        await self.make(_POSTPONEMENT, id=mail_id, held=claim, due=due_at)

    async def finish(self, mail_id: str, claim: str, outcome: str) -> bool:
        """Note the outcome and wipe the mail; False if somebody else has taken it over."""
        return await self.make(_END, id=mail_id, held=claim, result=outcome, now=self.unit.clock()) == 1


class DueMails:
    """Looks across tenants; made from the unit of the installation. What it finds is handed out by tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        return await any_due(self._unit, mails)

    async def claim(self, places: Places, lease: timedelta) -> Sequence[ClaimedMail]:
        """Take on what is due: the longest due first, of each tenant no more than its share.

        Args:
            places: how many can be worked on, and who holds how many of them; what is claimed takes its places there.
            lease: for how long nobody else takes them on.
        """
        now, claim = self._unit.clock(), new_id()
        rows = await fairly_due(self._unit, mails, _m.attempts > 0, places)
        await _CLAIMING.run(self._unit.connection, ids=[row.id for row in rows], name=claim, until=now + lease)
        return [
            ClaimedMail(
                row.id,
                row.tenant_id,
                (row.target_type, row.target_id),
                await _opened(self._unit.of_tenant(row.tenant_id), row),
                claim,
                row.attempts + 1,
                row.created_at,
                slow=bool(row.slow),
            )
            for row in await with_keys(self._unit, rows, places)
        ]


async def _opened(unit: Unit, row: "Row[Any]") -> Json | None:
    try:
        content: Json = await unit.open(mails, row.id, "sealed_mail", row.sealed_mail)
    except (DecryptionFailed, WrongKey):
        return None
    return content
