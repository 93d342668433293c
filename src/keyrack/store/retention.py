"""Deletes old rows of all tenants: events, links, sign-ins and sessions, and what is finished, as mails."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, exists, select, tuple_

from keyrack.store.core.statements import Change
from keyrack.store.core.unit import Unit
from keyrack.store.refresh_counts import HOURS, MINUTES
from keyrack.store.schema import (
    attempts,
    authentication_requests,
    connect_links,
    consents,
    console_sessions,
    deliveries,
    events,
    mails,
    pending_sign_ins,
    refresh_counts,
    revocations,
    setup_links,
)

BATCH = 1000


def _forgetting(table: Table, *old: ColumnElement[bool]) -> Change:
    """Return what deletes at most `BATCH` rows that are old, from `before` a time."""
    key = tuple_(*table.primary_key.columns)
    chosen = select(*table.primary_key.columns).where(*old).limit(BATCH)
    return Change(delete(table).where(key.in_(chosen)), scans=True)


_BEFORE: ColumnElement[Any] = bindparam("before")
_DELIVERIES = _forgetting(deliveries, deliveries.c.finished_at < _BEFORE)
_REVOCATIONS = _forgetting(revocations, revocations.c.finished_at < _BEFORE)
_EVENTS = _forgetting(events, events.c.created_at < _BEFORE, ~exists().where(deliveries.c.event_id == events.c.id))
_ATTEMPTS = _forgetting(attempts, attempts.c.settled_at < _BEFORE)
_MAILS = _forgetting(mails, mails.c.finished_at < _BEFORE)
_SETUP_LINKS = _forgetting(setup_links, setup_links.c.expires_at < _BEFORE)
_CONNECT_LINKS = _forgetting(connect_links, connect_links.c.expires_at < _BEFORE)
_CONSOLE_SESSIONS = _forgetting(console_sessions, console_sessions.c.seen_at < _BEFORE)
_PENDING_SIGN_INS = _forgetting(pending_sign_ins, pending_sign_ins.c.created_at < _BEFORE)
_AUTHENTICATION_REQUESTS = _forgetting(authentication_requests, authentication_requests.c.expires_at < _BEFORE)
_OF_SPAN, _BEGAN = refresh_counts.c.span, refresh_counts.c.began_at
_REFRESHES_BY_MINUTES = _forgetting(refresh_counts, _OF_SPAN == MINUTES, _BEGAN < _BEFORE)
_REFRESHES_BY_HOURS = _forgetting(refresh_counts, _OF_SPAN == HOURS, _BEGAN < _BEFORE)
_CONSENTS = _forgetting(
    consents,
    consents.c.expires_at < _BEFORE,
    ~exists().where(attempts.c.subject_id == consents.c.id, attempts.c.settled_at.is_(None)),
)


class ExpiredRows:
    """Looks across tenants, at times alone; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def forget_deliveries(self, before: datetime) -> int:
        """Delete at most `BATCH` deliveries that were finished before a time; return how many."""
        return await _DELIVERIES.run(self._unit.connection, before=before)

    async def forget_revocations(self, before: datetime) -> int:
        """Delete at most `BATCH` revocations that were finished before a time; return how many."""
        return await _REVOCATIONS.run(self._unit.connection, before=before)

    async def forget_events(self, before: datetime) -> int:
        """Delete at most `BATCH` events from before a time that are on their way nowhere; return how many."""
        return await _EVENTS.run(self._unit.connection, before=before)

    async def forget_attempts(self, before: datetime) -> int:
        """Delete at most `BATCH` attempts at tokens whose fate was settled before a time; return how many."""
        return await _ATTEMPTS.run(self._unit.connection, before=before)

    async def forget_consents(self, before: datetime) -> int:
        """Delete at most `BATCH` consents that expired before a time and wait for nothing; return how many."""
        return await _CONSENTS.run(self._unit.connection, before=before)

    async def forget_connect_links(self, before: datetime) -> int:
        """Delete at most `BATCH` connect links that expired before a time; return how many."""
        return await _CONNECT_LINKS.run(self._unit.connection, before=before)

    async def forget_mails(self, before: datetime) -> int:
        """Delete at most `BATCH` mails that were finished before a time; return how many."""
        return await _MAILS.run(self._unit.connection, before=before)

    async def forget_setup_links(self, before: datetime) -> int:
        """Delete at most `BATCH` links for first API keys that expired before a time; return how many."""
        return await _SETUP_LINKS.run(self._unit.connection, before=before)

    async def forget_console_sessions(self, before: datetime) -> int:
        """Delete at most `BATCH` sessions of the console that were last used before a time; return how many."""
        return await _CONSOLE_SESSIONS.run(self._unit.connection, before=before)

    async def forget_pending_sign_ins(self, before: datetime) -> int:
        """Delete at most `BATCH` sign-ins that wait for a code since before a time; return how many."""
        return await _PENDING_SIGN_INS.run(self._unit.connection, before=before)

    async def forget_authentication_requests(self, before: datetime) -> int:
        """Delete at most `BATCH` sign-ins at tenants' providers that expired before a time; return how many."""
        return await _AUTHENTICATION_REQUESTS.run(self._unit.connection, before=before)

    async def forget_refreshes_by_minutes(self, before: datetime) -> int:
        """Delete at most `BATCH` counts of refreshes by minutes from before a time; return how many."""
        return await _REFRESHES_BY_MINUTES.run(self._unit.connection, before=before)

    async def forget_refreshes_by_hours(self, before: datetime) -> int:
        """Delete at most `BATCH` counts of refreshes by hours from before a time; return how many."""
        return await _REFRESHES_BY_HOURS.run(self._unit.connection, before=before)
