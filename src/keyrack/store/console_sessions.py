"""Sessions of the console (decision 28): the browsers in which somebody is signed in, each known by its hash."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.ids import new_id
from keyrack.model.identity import ConsoleSession, PrincipalKind
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import console_sessions

LONGEST_BROWSER = 300
_LONGEST_ADDRESS = 64

_s = console_sessions.c
OWNER_COLUMN: Mapping[PrincipalKind, str] = {
    PrincipalKind.user: "user_id",
    PrincipalKind.service_account: "service_account_id",
}
"""The column that says whose a row is, for those who can sign in to the console."""
_OF = {kind: _s[column] == bindparam("owner") for kind, column in OWNER_COLUMN.items()}

_ALIVE = {
    kind: TenantQuery(
        console_sessions,
        select(*_s)
        .where(owned, _s.seen_at > bindparam("seen_after"), _s.created_at > bindparam("created_after"))
        .order_by(_s.created_at, _s.id),
    )
    for kind, owned in _OF.items()
}
_SEEN = TenantChange(
    console_sessions,
    update(console_sessions)
    .where(_s.id == bindparam("row"))
    .values(seen_at=bindparam("now"), address=bindparam("from_where")),
)
_ENDING = {
    kind: TenantChange(console_sessions, delete(console_sessions).where(owned, _s.id == bindparam("session_id")))
    for kind, owned in _OF.items()
}
_ENDING_OTHERS = {
    kind: TenantChange(console_sessions, delete(console_sessions).where(owned, _s.id != bindparam("but")))
    for kind, owned in _OF.items()
}


class ConsoleSessions(TenantTable):
    """The sessions of the unit's tenant, or of service accounts in the unit of the installation."""

    table = console_sessions

    async def add(
        self, kind: PrincipalKind, owner_id: str, session_hash: str, address: str | None, browser: str
    ) -> ConsoleSession:
        """Store a new session.

        Args:
            kind: what has signed in, a user or a service account.
            owner_id: its id.
            session_hash: of what the browser holds.
            address: from where.
            browser: what it says of itself; cut to `LONGEST_BROWSER`.
        """
        now = self.unit.clock()
        made = ConsoleSession(new_id(), owner_id, _stored(address), browser[:LONGEST_BROWSER], now, now)
        await self.insert(
            {
                "id": made.id,
                OWNER_COLUMN[kind]: owner_id,
                "session_hash": session_hash,
                "address": made.address,
                "browser": made.browser,
                "created_at": now,
                "seen_at": now,
            }
        )
        return made

    async def of_owner(
        self, kind: PrincipalKind, owner_id: str, *, seen_after: datetime, created_after: datetime
    ) -> Sequence[ConsoleSession]:
        """List the sessions that have been used and begun after these times, the oldest first."""
        rows = await self.ask(_ALIVE[kind], owner=owner_id, seen_after=seen_after, created_after=created_after)
        return [read_session(row) for row in rows]

    async def seen(self, session_id: str, address: str | None) -> None:
        """Note that a session is used now, and from where."""
        await self.make(_SEEN, row=session_id, now=self.unit.clock(), from_where=_stored(address))

    async def end(self, kind: PrincipalKind, owner_id: str, session_id: str) -> bool:
        """End a session; False if the owner has no such session."""
        return await self.make(_ENDING[kind], owner=owner_id, session_id=session_id) == 1

    async def end_others(self, kind: PrincipalKind, owner_id: str, session_id: str | None) -> int:
        """End all of an owner's sessions but one, or all where that is None; return how many."""
        return await self.make(_ENDING_OTHERS[kind], owner=owner_id, but=session_id or "")


def read_session(row: "Row[Any]") -> ConsoleSession:
    """Build a session from a row of `console_sessions`."""
    owner_id = row.user_id or row.service_account_id
    return ConsoleSession(row.id, owner_id, row.address, row.browser, row.created_at, row.seen_at)


def _stored(address: str | None) -> str | None:
    return None if address is None else address[:_LONGEST_ADDRESS]
