"""Signs people in to the console with email and password, and ends their sessions (decision 28).

Every request with a session asks the database, so that a session that was ended, a changed password and a deleted user
count at once, in all processes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keyrack.crypto.secret import Secret
from keyrack.errors import BadRequest, DiskFull, NotFound, Unauthorized
from keyrack.model.identity import ConsoleSession, Principal, PrincipalKind
from keyrack.service.authz.access import ALLOWED, Access, home
from keyrack.service.identity.password_hashing import NOBODYS, PasswordHashing
from keyrack.service.identity.password_rules import LONGEST, normal_password, require_good_password
from keyrack.store.audit_log import AuditLog
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Identity
from keyrack.store.tenants import TenantRows
from keyrack.store.users import LONGEST_EMAIL, UserRows

_BYTES = 32
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SESSIONS = 50
"""Of a user; the oldest makes room for the next."""
_NOTED = timedelta(minutes=1)
"""How exactly it is known when a session was used last: not every request writes."""


class WrongPassword(BadRequest):
    """There is no such account, or it has no password, or another one: which of these is not told."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where somebody comes from who signs in.

    Attributes:
        source: whose turn the check of the password takes.
        address: for the audit log and the list of sessions.
        browser: what it says of itself.
        request_id: for the audit log.
    """

    source: str
    address: str | None
    browser: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in, in this browser."""

    who: Principal
    session: ConsoleSession


@dataclass(frozen=True, slots=True)
class OwnSessions:
    """What people see of how they sign in.

    Attributes:
        sessions: those that have not ended, the oldest first.
        password_since: when the password was chosen.
    """

    sessions: Sequence[ConsoleSession]
    password_since: datetime | None = field(default=None)


class ConsoleSignIn:
    """Sessions of the console.

    Args:
        store: all data.
        access: the way into every operation.
        passwords: hashes them.
        idle: after which time without use a session ends.
        longest: after which time it ends in any case.
    """

    def __init__(
        self, store: Store, access: Access, passwords: PasswordHashing, *, idle: timedelta, longest: timedelta
    ) -> None:
        self._store = store
        self._access = access
        self._passwords = passwords
        self._idle = idle
        self._longest = longest

    def now(self) -> datetime:
        """Return the time by which sessions are judged."""
        return self._store.clock()

    async def sign_in(self, email: str, password: str, visitor: Visitor) -> Secret:
        """Check a password and begin a session; return what the browser is to hold, which nobody else knows.

        Whether there is such an account makes no difference to what is asked of the database and what is hashed.

        Raises:
            WrongPassword: it is not that account's, or there is none.
            RateLimited: too many passwords wait to be checked.
        """
        wanted = email if len(email) <= LONGEST_EMAIL and "\0" not in email else ""
        async with self._store.installation() as unit:
            found = await Directory(unit).signing_in(wanted)
        user_id, tenant_id, stored = found or ("", "", NOBODYS)
        given = normal_password(password[: LONGEST + 1])
        if not await self._passwords.matches(visitor.source, stored, given) or found is None:
            raise WrongPassword
        token = Secret(secrets.token_urlsafe(_BYTES))
        async with self._store.unit(tenant_id, writes=True) as unit:
            users = UserRows(unit)
            if not await TenantRows(unit).hold():
                raise WrongPassword
            await users.lock_to_change(user_id)
            user, now = await users.find(user_id), await users.password(user_id)
            if user is None or now is None or not hmac.compare_digest(now[0], stored):  # changed meanwhile
                raise WrongPassword
            sessions = ConsoleSessions(unit)
            earlier = await sessions.of_user(user_id, seen_after=_BEGINNING, created_after=_BEGINNING)
            for old in earlier[: 1 - _MOST_SESSIONS]:
                await sessions.end(user_id, old.id)
            made = await sessions.add(user_id, session_hash(token), visitor.address, visitor.browser)
            await users.signed_in(user_id)
            identity = Identity(PrincipalKind.user, user_id, user.email, tenant_id, frozenset())
            who = _principal(identity, visitor.address, visitor.request_id)
            await AuditLog(unit).append(who, "console-session.create", ("console-session", made.id), ALLOWED)
        return token

    async def signed_in(
        self, token: Secret, address: str | None, request_id: str | None, *, used: bool = True
    ) -> SignedIn:
        """Return who is signed in with what a browser holds.

        Args:
            token: what the browser holds.
            address: from where it asks.
            request_id: for the audit log.
            used: whether a person does something; a page that shows by itself what has changed keeps no session open.

        Raises:
            Unauthorized: nobody, or not any more.
        """
        async with self._store.installation() as unit:
            found, now = await Directory(unit).console_session(session_hash(token)), unit.clock()
        if found is None:
            raise Unauthorized
        identity, session = found
        if session.seen_at <= now - self._idle or session.created_at <= now - self._longest:
            raise Unauthorized
        who = _principal(identity, address, request_id)
        stale = now - session.seen_at >= min(_NOTED, self._idle / 10) or session.address != address
        if used and stale:
            with suppress(DiskFull):  # reading goes on
                async with self._store.unit(home(who), writes=True) as unit:
                    await ConsoleSessions(unit).seen(session.id, address)
        return SignedIn(who, session)

    async def sign_out(self, signed_in: SignedIn) -> None:
        """End a session, by whoever is in it."""
        with suppress(NotFound):  # it has just been ended elsewhere
            await self.end_session(signed_in.who, signed_in.session.id)

    async def own_sessions(self, who: Principal) -> OwnSessions:
        """Return the sessions of the caller that have not ended, and since when the password is good."""
        async with self._access.tenant(who, home(who)) as scope:
            now = scope.unit.clock()
            found = await ConsoleSessions(scope.unit).of_user(
                who.id, seen_after=now - self._idle, created_after=now - self._longest
            )
            password = await UserRows(scope.unit).password(who.id)
            return OwnSessions(found, None if password is None else password[1])

    async def end_session(self, who: Principal, session_id: str) -> None:
        """End one of the caller's sessions, at once.

        Raises:
            NotFound: the caller has no such session.
        """
        async with self._access.tenant(who, home(who), "console-session.end") as scope:
            if not await ConsoleSessions(scope.unit).end(who.id, session_id):
                raise NotFound("you have no such session")
            scope.audit_target("console-session", session_id)

    async def end_other_sessions(self, signed_in: SignedIn) -> int:
        """End all of the caller's sessions but this one, at once; return how many."""
        who = signed_in.who
        async with self._access.tenant(who, home(who), "console-session.end-others") as scope:
            scope.audit_target("user", who.id)
            return await ConsoleSessions(scope.unit).end_others(who.id, signed_in.session.id)

    async def change_password(self, signed_in: SignedIn, current: str, new: str, source: str) -> None:
        """Change the caller's password, which ends all other sessions.

        Args:
            signed_in: who, and the session that goes on.
            current: the password that is good now.
            new: the one to come.
            source: as in `Visitor`.

        Raises:
            WrongPassword: the current one is another.
            ValidationFailed: the new one is too weak.
            RateLimited: too many passwords wait to be checked.
        """
        who, chosen = signed_in.who, normal_password(new[: LONGEST + 1])
        async with self._access.tenant(who, home(who)) as scope:
            stored = await UserRows(scope.unit).password(who.id)
        given = normal_password(current[: LONGEST + 1])
        if not await self._passwords.matches(source, NOBODYS if stored is None else stored[0], given):
            raise WrongPassword
        require_good_password(chosen, who.name)
        hashed = await self._passwords.hash(home(who), chosen)
        async with self._access.tenant(who, home(who), "password.change") as scope:
            users = UserRows(scope.unit)
            await users.lock_to_change(who.id)
            if await users.password(who.id) != stored:
                raise WrongPassword
            await users.set_password(who.id, hashed)
            await ConsoleSessions(scope.unit).end_others(who.id, signed_in.session.id)
            scope.audit_target("user", who.id)


def session_hash(token: Secret) -> str:
    """Return what is stored of what a browser holds: 64 hex characters. 256 random bits need no slow hash."""
    text = token.reveal().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=32, person=b"keyrack console").hexdigest()


def _principal(identity: Identity, address: str | None, request_id: str | None) -> Principal:
    return Principal(
        identity.kind, identity.id, identity.name, identity.tenant_id, address=address, request_id=request_id
    )
