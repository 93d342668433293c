"""The journal of requests that may change a grant (design, rotation journal).

A row is written before a token request is sent and carries the provider's answer, sealed, before it is interpreted.
So of every request that a crash interrupts, it is known whether it was never sent (no row), whether its answer is
there (landed), or whether nobody knows (ambiguous).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select

from keyrack.crypto.envelope import EncryptionContext
from keyrack.store.core.process_id import node_id
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.schema import attempts

_MANY = 500


class AttemptKind(StrEnum):
    """What a request was for."""

    refresh = "refresh"
    code = "code"


class AttemptResult(StrEnum):
    """What became of an attempt that is over and did not bring tokens."""

    unsent = "unsent"
    ambiguous = "ambiguous"
    refused = "refused"
    failed = "failed"
    superseded = "superseded"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One token request.

    Attributes:
        id: its id.
        tenant_id: whose grant it is about.
        kind: refresh or first exchange of a code.
        subject_id: the auth secret, or the consent.
        fence: of the lease it was sent under; 0 for a code.
        generation: the secret's `grant_generation` when it was sent; 0 for a code.
        owner: the process that sent it.
        started_at: when it was about to be sent.
        answered_at: when the answer came; None if none is known.
        sealed_answer: the answer, sealed for `answer_place`.
    """

    id: str
    tenant_id: str
    kind: AttemptKind
    subject_id: str
    fence: int
    generation: int
    owner: str
    started_at: datetime
    answered_at: datetime | None = None
    sealed_answer: bytes | None = None


class Attempts(TenantTable):
    """The attempts of the unit's tenant."""

    table = attempts

    async def begin(self, attempt: Attempt) -> None:
        """Write down that a request is about to be sent."""
        await self.insert(
            {
                "id": attempt.id,
                "kind": attempt.kind.value,
                "subject_id": attempt.subject_id,
                "fence": attempt.fence,
                "generation": attempt.generation,
                "owner": node_id(),
                "started_at": attempt.started_at,
            }
        )

    async def answered(self, attempt_id: str, sealed: bytes, at: datetime) -> bool:
        """Keep the answer of an attempt, also of one that was given up meanwhile; False if there is no such attempt."""
        changed = self.update().where(attempts.c.id == attempt_id)
        return await self.run(changed.values(sealed_answer=sealed, answered_at=at, settled_at=None, outcome=None)) == 1

    async def find(self, attempt_id: str) -> Attempt | None:
        """Return an open attempt, or None."""
        row = await self.first(self.select().where(attempts.c.id == attempt_id, attempts.c.settled_at.is_(None)))
        return None if row is None else _attempt(row)

    async def open_of(self, subject_id: str) -> Sequence[Attempt]:
        """Return the attempts of a secret or consent whose fate has not been settled, oldest first."""
        a = attempts.c
        query = self.select().where(a.subject_id == subject_id, a.settled_at.is_(None)).order_by(a.id)
        return [_attempt(row) for row in await self.all(query)]

    async def landed(self, attempt_id: str) -> bool:
        """Forget an open attempt whose tokens are stored; False if it is open no more."""
        return await self.run(self.delete().where(attempts.c.id == attempt_id, attempts.c.settled_at.is_(None))) == 1

    async def settle(self, attempt_id: str, fate: AttemptResult) -> bool:
        """Note what became of an open attempt, and forget its answer; False if it is open no more."""
        values = {"outcome": fate.value, "settled_at": self.unit.clock(), "sealed_answer": None}
        still_open = self.update().where(attempts.c.id == attempt_id, attempts.c.settled_at.is_(None))
        return await self.run(still_open.values(values)) == 1


async def open_attempts(unit: Unit) -> Sequence[Attempt]:
    """Return open attempts of all tenants, oldest first, without their answers: what recovery looks through."""
    a = attempts.c
    columns = [column for column in a if column is not a.sealed_answer]
    query = select(*columns).where(a.settled_at.is_(None)).order_by(a.id).limit(_MANY)
    return [_attempt(row) for row in (await unit.connection.execute(query)).all()]


def answer_place(tenant_id: str, attempt_id: str) -> EncryptionContext:
    """Return the place for which the answer of an attempt is sealed."""
    return EncryptionContext(tenant_id, attempts.name, attempt_id, "sealed_answer")


def _attempt(row: "Row[Any]") -> Attempt:
    known = row._asdict()
    return Attempt(
        row.id,
        row.tenant_id,
        AttemptKind(row.kind),
        row.subject_id,
        row.fence,
        row.generation,
        row.owner,
        row.started_at,
        row.answered_at,
        known.get("sealed_answer"),
    )
