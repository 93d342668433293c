"""Authenticator apps of those who sign in to the console, and their sign-ins that wait for a code (decision 29)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model.identity import Authenticator, PendingSignIn, PrincipalKind
from keyrack.store.console_sessions import OWNER_COLUMN
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import authenticators, pending_sign_ins

_a, _p = authenticators.c, pending_sign_ins.c

_OF_OWNER = {
    kind: TenantQuery(authenticators, select(*_a).where(_a[column] == bindparam("owner")))
    for kind, column in OWNER_COLUMN.items()
}
_REMOVAL = {
    kind: TenantChange(authenticators, delete(authenticators).where(_a[column] == bindparam("owner")))
    for kind, column in OWNER_COLUMN.items()
}
_UNCONFIRMED_REMOVAL = {
    kind: TenantChange(
        authenticators,
        delete(authenticators).where(_a[column] == bindparam("owner"), _a.confirmed_at.is_(None)),
    )
    for kind, column in OWNER_COLUMN.items()
}
_RIGHT_CODE = TenantChange(
    authenticators,
    update(authenticators)
    .where(_a.id == bindparam("row"), _a.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), wrong_codes=0, retry_at=None),
)
_FORGETTING = {
    kind: TenantChange(pending_sign_ins, delete(pending_sign_ins).where(_p[column] == bindparam("owner")))
    for kind, column in OWNER_COLUMN.items()
}
_WAITING = TenantQuery(pending_sign_ins, select(_p.id).where(_p.id == bindparam("id")))
_TAKING = TenantChange(pending_sign_ins, delete(pending_sign_ins).where(_p.id == bindparam("id")))


class Authenticators(TenantTable):
    """Of the users of the unit's tenant, or of service accounts in the unit of the installation.

    Whoever changes one holds its owner (`ConsoleAccounts.hold`) first.
    """

    table = authenticators

    async def find(self, kind: PrincipalKind, owner_id: str) -> Authenticator | None:
        """Return the authenticator of somebody, confirmed or not, or None."""
        row = await self.ask_one(_OF_OWNER[kind], owner=owner_id)
        if row is None:
            return None
        secret = Secret(await self.unit.open(authenticators, row.id, "sealed_secret", row.sealed_secret))
        return Authenticator(
            row.id, secret, row.session_id, row.created_at, row.confirmed_at, row.last_step, row.wrong_codes,
            row.retry_at, tuple(row.recovery_hashes),
        )  # fmt: skip

    async def begin(self, kind: PrincipalKind, owner_id: str, secret: Secret, session_id: str) -> None:
        """Store an authenticator that is to be confirmed, in place of one that was not.

        Args:
            kind: whose it is, a user's or a service account's.
            owner_id: its id.
            secret: in base32.
            session_id: in which it is begun.

        Raises:
            AlreadyExists: there is one that is confirmed.
        """
        await self.make(_UNCONFIRMED_REMOVAL[kind], owner=owner_id)
        made = new_id()
        await self.insert(
            {
                "id": made,
                OWNER_COLUMN[kind]: owner_id,
                "sealed_secret": await self.unit.seal(authenticators, made, "sealed_secret", secret.reveal()),
                "session_id": session_id,
                "created_at": self.unit.clock(),
                "last_step": 0,
                "wrong_codes": 0,
                "recovery_hashes": [],
            }
        )

    async def confirm(self, authenticator_id: str, step: int, recovery_hashes: Sequence[str]) -> None:
        """Ask for codes from now on.

        Args:
            authenticator_id: which is confirmed.
            step: of the code that confirmed it.
            recovery_hashes: of its recovery codes.
        """
        values = {"confirmed_at": self.unit.clock(), "last_step": step, "recovery_hashes": list(recovery_hashes)}
        await self.set_columns(authenticator_id, values)

    async def take_step(self, authenticator_id: str, step: int) -> bool:
        """Note that a code was right, which ends any wait; False if its step, or a newer one, was used."""
        return await self.make(_RIGHT_CODE, row=authenticator_id, step=step) == 1

    async def count_wrong(self, authenticator_id: str, wrong_codes: int, retry_at: datetime | None) -> None:
        """Note how many codes in a row were wrong, and until when no further one is looked at."""
        await self.set_columns(authenticator_id, {"wrong_codes": wrong_codes, "retry_at": retry_at})

    async def keep_recovery_codes(self, authenticator_id: str, recovery_hashes: Sequence[str]) -> None:
        """Replace the hashes of the recovery codes that are left."""
        await self.set_columns(authenticator_id, {"recovery_hashes": list(recovery_hashes)})

    async def remove(self, kind: PrincipalKind, owner_id: str) -> bool:
        """Ask somebody for no code any more; False if none was asked for."""
        found = await self.ask_one(_OF_OWNER[kind], owner=owner_id)
        await self.make(_REMOVAL[kind], owner=owner_id)
        return found is not None and found.confirmed_at is not None


class PendingSignIns(TenantTable):
    """Of the users of the unit's tenant, or of service accounts in the unit of the installation."""

    table = pending_sign_ins

    async def add(self, kind: PrincipalKind, owner_id: str, cookie_hash: str, password_set_at: datetime) -> None:
        """Store a sign-in whose password was right.

        Args:
            kind: whose it is, a user's or a service account's.
            owner_id: its id.
            cookie_hash: of what the browser holds.
            password_set_at: since when the password is good.
        """
        await self.insert(
            {
                "id": new_id(),
                OWNER_COLUMN[kind]: owner_id,
                "cookie_hash": cookie_hash,
                "password_set_at": password_set_at,
                "created_at": self.unit.clock(),
            }
        )

    async def is_waiting(self, pending_id: str) -> bool:
        """Tell whether a sign-in still waits."""
        return await self.ask_one(_WAITING, id=pending_id) is not None

    async def take(self, pending_id: str) -> None:
        """Use a sign-in up."""
        await self.make(_TAKING, id=pending_id)

    async def forget(self, kind: PrincipalKind, owner_id: str) -> None:
        """Forget all that somebody has begun."""
        await self.make(_FORGETTING[kind], owner=owner_id)


def read_pending(row: "Row[Any]") -> PendingSignIn:
    """Build a sign-in that waits from a row of `pending_sign_ins`."""
    return PendingSignIn(row.id, row.password_set_at, row.created_at)
