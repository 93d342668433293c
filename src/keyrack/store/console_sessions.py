"""Sessions of the console (decision 28): which browsers a user is signed in with, each known by its hash."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.ids import new_id
from keyrack.model.identity import ConsoleSession
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import console_sessions

LONGEST_BROWSER = 300
_LONGEST_ADDRESS = 64

_s = console_sessions.c
_OF_USER = _s.user_id == bindparam("user_id")

_ALIVE = TenantQuery(
    console_sessions,
    select(*_s)
    .where(_OF_USER, _s.seen_at > bindparam("seen_after"), _s.created_at > bindparam("created_after"))
    .order_by(_s.created_at, _s.id),
)
_SEEN = TenantChange(
    console_sessions,
    update(console_sessions)
    .where(_s.id == bindparam("row"))
    .values(seen_at=bindparam("now"), address=bindparam("from_where")),
)
_ENDING = TenantChange(console_sessions, delete(console_sessions).where(_OF_USER, _s.id == bindparam("session_id")))
_ENDING_OTHERS = TenantChange(console_sessions, delete(console_sessions).where(_OF_USER, _s.id != bindparam("but")))


class ConsoleSessions(TenantTable):
    """The sessions of the unit's tenant."""

    table = console_sessions

    async def add(self, user_id: str, session_hash: str, address: str | None, browser: str) -> ConsoleSession:
        """Store a new session of a user.

        Args:
            user_id: who has signed in.
            session_hash: of what the browser holds.
            address: from where.
            browser: what it says of itself; cut to `LONGEST_BROWSER`.
        """
        now = self.unit.clock()
        made = ConsoleSession(new_id(), user_id, _stored(address), browser[:LONGEST_BROWSER], now, now)
        await self.insert(
            {
                "id": made.id,
                "user_id": user_id,
                "session_hash": session_hash,
                "address": made.address,
                "browser": made.browser,
                "created_at": now,
                "seen_at": now,
            }
        )
        return made

    async def of_user(self, user_id: str, *, seen_after: datetime, created_after: datetime) -> Sequence[ConsoleSession]:
        """List a user's sessions that have been used and begun after these times, the oldest first."""
        rows = await self.ask(_ALIVE, user_id=user_id, seen_after=seen_after, created_after=created_after)
        return [read_session(row) for row in rows]

    async def seen(self, session_id: str, address: str | None) -> None:
        """Note that a session is used now, and from where."""
        await self.make(_SEEN, row=session_id, now=self.unit.clock(), from_where=_stored(address))

    async def end(self, user_id: str, session_id: str) -> bool:
        """End one of a user's sessions; False if the user has no such session."""
        return await self.make(_ENDING, user_id=user_id, session_id=session_id) == 1

    async def end_others(self, user_id: str, session_id: str | None) -> int:
        """End all of a user's sessions but one, or all where that is None; return how many."""
        return await self.make(_ENDING_OTHERS, user_id=user_id, but=session_id or "")


def read_session(row: "Row[Any]") -> ConsoleSession:
    """Build a session from a row of `console_sessions`."""
    return ConsoleSession(row.id, row.user_id, row.address, row.browser, row.created_at, row.seen_at)


def _stored(address: str | None) -> str | None:
    return None if address is None else address[:_LONGEST_ADDRESS]
