"""Revocation jobs: durable, encrypted, wiped when done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, null, select, update

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import WrongKey
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.store.core.claims import any_due, fairly_due, with_keys
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import revocations

_AT_ONCE = 200
"""Tokens that are held in clear at a time."""

_r = revocations.c

_CLAIMED = update(revocations).where(_r.id == bindparam("id"), _r.claim == bindparam("held"))
_POSTPONED = _CLAIMED.values(claim=null(), due_at=bindparam("due"))
_POSTPONEMENT = TenantChange(revocations, _POSTPONED)
_POSTPONEMENT_OF_REST = TenantChange(revocations, _POSTPONED.values(sealed_order=bindparam("sealed")))
_END = TenantChange(
    revocations,
    _CLAIMED.values(
        claim=null(), due_at=null(), sealed_order=null(), outcome=bindparam("result"), finished_at=bindparam("now")
    ),
)
_PENDING = TenantQuery(
    revocations,
    select(_r.id, _r.sealed_order).where(_r.due_at.is_not(None)).order_by(_r.id).limit(_AT_ONCE).with_for_update(),
    scans=True,
)
_HANDING_OVER = TenantChange(
    revocations,
    update(revocations)
    .where(_r.id == bindparam("id"))
    .values(tenant_id=bindparam("successor"), sealed_order=bindparam("sealed")),
)
_ALL_GONE = TenantChange(revocations, delete(revocations), scans=True)
_CLAIMING = Change(
    update(revocations)
    .where(_r.id.in_(bindparam("ids", expanding=True)))
    .values(claim=bindparam("name"), due_at=bindparam("until"), attempts=_r.attempts + 1)
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose token it is; the secret itself is gone by now. Of a client's registration only the client is named."""

    secret_id: str
    workspace_id: str
    auth_client_id: str


@dataclass(frozen=True, slots=True)
class ClaimedRevocation:
    """A revocation that is ours until its lease ends.

    Attributes:
        id: its id.
        tenant_id: whose it is; the installation's if the tenant is gone.
        subject: whose token it is.
        order: endpoint, token and client; None if it cannot be opened.
        claim: proves that it is ours.
        attempts: how many there were, this one included.
        slow: it failed before.
    """

    id: str
    tenant_id: str
    subject: Subject
    order: Json | None = field(repr=False)
    claim: str
    attempts: int
    slow: bool = False

    @property
    def target_id(self) -> str:
        """The job itself."""
        return self.id


class Revocations(TenantTable):
    """The revocations of the unit's tenant; in the unit of the installation, those of tenants that are gone."""

    table = revocations

    async def add(self, subject: Subject, order: Json, *, after: timedelta = timedelta()) -> None:
        """Store a new one.

        Args:
            subject: whose token it is.
            order: what is needed to revoke it; secret.
            after: how long it is not due.
        """
        job_id, now = new_id(), self.unit.clock()
        await self.insert(
            {
                "id": job_id,
                "secret_id": subject.secret_id,
                "workspace_id": subject.workspace_id,
                "auth_client_id": subject.auth_client_id,
                "sealed_order": await self.unit.seal(revocations, job_id, "sealed_order", order),
                "attempts": 0,
                "due_at": now + after,
                "created_at": now,
            }
        )

    async def postpone(self, job_id: str, claim: str, due_at: datetime, order: Json | None) -> None:
        """Try again later, unless somebody else has taken it over.

        Args:
            job_id: what is postponed.
            claim: as it was given out.
            due_at: when it is tried next.
            order: with what has been done of it; None leaves it as it is.
        """
        if order is None:
            await self.make(_POSTPONEMENT, id=job_id, held=claim, due=due_at)
        else:
            sealed = await self.unit.seal(revocations, job_id, "sealed_order", order)
            await self.make(_POSTPONEMENT_OF_REST, id=job_id, held=claim, due=due_at, sealed=sealed)

    async def finish(self, job_id: str, claim: str, outcome: str) -> bool:
        """Note the outcome and wipe the token; False if somebody else has taken it over."""
        return await self.make(_END, id=job_id, held=claim, result=outcome, now=self.unit.clock()) == 1

    async def outlive_tenant(self) -> None:
        """Hand what is pending over to the installation, and forget the rest: the tenant is being deleted.

        The tenant's data key goes with it, so the orders are sealed anew, with the installation's. Who is revoking one
        of them at this moment can no longer settle it: it is due again when that claim ends.
        """
        successor = self.unit.of_installation()
        while rows := await self.ask(_PENDING):
            for row in rows:
                order = await _opened(self.unit, row.id, row.sealed_order)
                sealed = None if order is None else await successor.seal(revocations, row.id, "sealed_order", order)
                await self.make(_HANDING_OVER, id=row.id, successor=INSTALLATION, sealed=sealed)
        await self.make(_ALL_GONE)


class DueRevocations:
    """Looks across tenants; made from the unit of the installation. What it finds is handed out by tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        return await any_due(self._unit, revocations)

    async def claim(self, places: Places, lease: timedelta) -> Sequence[ClaimedRevocation]:
        """Take on what is due: the longest due first, of each tenant no more than its share.

        Args:
            places: how many can be worked on, and who holds how many of them; what is claimed takes its places there.
            lease: for how long nobody else takes them on.
        """
        now, claim = self._unit.clock(), new_id()
        rows = await fairly_due(self._unit, revocations, _r.attempts > 0, places)
        await _CLAIMING.run(self._unit.connection, ids=[row.id for row in rows], name=claim, until=now + lease)
        return [
            ClaimedRevocation(
                row.id,
                row.tenant_id,
                Subject(row.secret_id, row.workspace_id, row.auth_client_id),
                await _opened(self._unit.of_tenant(row.tenant_id), row.id, row.sealed_order),
                claim,
                row.attempts + 1,
                slow=bool(row.slow),
            )
            for row in await with_keys(self._unit, rows, places)
        ]


async def _opened(unit: Unit, job_id: str, sealed: bytes | None) -> Json | None:
    if sealed is None:
        return None
    try:
        order: Json = await unit.open(revocations, job_id, "sealed_order", sealed)
    except (DecryptionFailed, WrongKey):
        return None
    return order
