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

from sqlalchemy import Row, bindparam, delete, null, select, update

from keyrack.crypto.envelope import EncryptionContext
from keyrack.store.core.process_id import node_id
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import attempts

_MANY = 500


class AttemptKind(StrEnum):
    """What a request was for: tokens, or what a client is registered with at its server."""

    refresh = "refresh"
    code = "code"
    grant = "grant"
    """A grant that needs no person, asked for anew: what is sent is not used up by it."""
    device = "device"
    """The first tokens of a device, for its code (RFC 8628)."""
    register = "register"
    """A client's registration (RFC 7591)."""
    renew = "renew"
    """Reading or updating one, which may bring another secret and another access token for it (RFC 7592)."""


class AttemptResult(StrEnum):
    """What became of an attempt that is over and did not bring tokens."""

    unsent = "unsent"
    ambiguous = "ambiguous"
    refused = "refused"
    failed = "failed"
    superseded = "superseded"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request.

    Attributes:
        id: its id.
        tenant_id: whose grant it is about.
        kind: what it is for.
        subject_id: the auth secret, the consent or the auth client.
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


ATTEMPT_COLUMNS = ("id", "kind", "subject_id", "fence", "generation", "owner", "started_at")
"""What is written down of a request before it is sent."""

_a = attempts.c
_STILL_OPEN = (_a.id == bindparam("attempt"), _a.settled_at.is_(None))
_OPEN = TenantQuery(attempts, select(*_a).where(*_STILL_OPEN))
_OPEN_OF = TenantQuery(
    attempts,
    select(*_a)
    .where(_a.subject_id.in_(bindparam("subjects", expanding=True)), _a.settled_at.is_(None))
    .order_by(_a.id),
)
_ANSWER = TenantChange(
    attempts,
    update(attempts)
    .where(_a.id == bindparam("attempt"))
    .values(sealed_answer=bindparam("answer"), answered_at=bindparam("at"), settled_at=null(), outcome=null()),
)
_LANDING = TenantChange(attempts, delete(attempts).where(*_STILL_OPEN))
_ALL_LANDING = TenantChange(
    attempts, delete(attempts).where(_a.id.in_(bindparam("attempts", expanding=True)), _a.settled_at.is_(None))
)
_SETTLEMENT = TenantChange(
    attempts,
    update(attempts)
    .where(*_STILL_OPEN)
    .values(outcome=bindparam("fate"), settled_at=bindparam("now"), sealed_answer=null()),
)
_ALL_OPEN = Query(
    select(*(column for column in _a if column is not _a.sealed_answer))
    .where(_a.settled_at.is_(None))
    .order_by(_a.id)
    .limit(_MANY)
)


class Attempts(TenantTable):
    """The attempts of the unit's tenant."""

    table = attempts

    async def begin(self, attempt: Attempt) -> None:
        """Write down that a request is about to be sent."""
        await self.insert(attempt_columns(attempt))

    async def answered(self, attempt_id: str, sealed: bytes, at: datetime) -> bool:
        """Keep the answer of an attempt, also of one that was given up meanwhile; False if there is no such attempt."""
        return await self.make(_ANSWER, attempt=attempt_id, answer=sealed, at=at) == 1

    async def find(self, attempt_id: str) -> Attempt | None:
        """Return an open attempt, or None."""
        row = await self.ask_one(_OPEN, attempt=attempt_id)
        return None if row is None else _attempt(row)

    async def open_of(self, subject_ids: Sequence[str]) -> Sequence[Attempt]:
        """Return the attempts of some secrets or consents whose fate has not been settled, oldest first."""
        return [_attempt(row) for row in await self.ask(_OPEN_OF, subjects=subject_ids)]

    async def landed(self, attempt_id: str) -> bool:
        """Forget an open attempt whose tokens are stored; False if it is open no more."""
        return await self.make(_LANDING, attempt=attempt_id) == 1

    async def all_landed(self, attempt_ids: Sequence[str]) -> None:
        """Forget those of some attempts that are open, as their tokens are stored."""
        await self.make(_ALL_LANDING, attempts=list(attempt_ids))

    async def settle(self, attempt_id: str, fate: AttemptResult) -> bool:
        """Note what became of an open attempt, and forget its answer; False if it is open no more."""
        return await self.make(_SETTLEMENT, attempt=attempt_id, fate=fate.value, now=self.unit.clock()) == 1


async def open_attempts(unit: Unit) -> Sequence[Attempt]:
    """Return open attempts of all tenants, oldest first, without their answers: what recovery looks through."""
    return [_attempt(row) for row in await _ALL_OPEN.rows(unit.connection)]


def attempt_columns(attempt: Attempt) -> dict[str, Any]:
    """Return the columns of a new attempt of this process, all but the tenant."""
    values = (
        attempt.id, attempt.kind.value, attempt.subject_id, attempt.fence, attempt.generation, node_id(),
        attempt.started_at,
    )  # fmt: skip
    return dict(zip(ATTEMPT_COLUMNS, values, strict=True))


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
