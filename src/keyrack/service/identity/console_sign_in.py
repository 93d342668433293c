"""Signs people in to the console with a password, and a code if they want; ends their sessions (decisions 28 to 30).

Every request with a session asks the database, so that a session that was ended, a changed password, a deleted account
and changed permissions count at once, in all processes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from keyrack.crypto.secret import Secret
from keyrack.errors import BadRequest, DiskFull, NotFound, Unauthorized
from keyrack.model.identity import ConsoleSession, PendingSignIn, Principal, PrincipalKind
from keyrack.service.authz.access import ALLOWED, DENIED, Access
from keyrack.service.authz.access_counts import stranger
from keyrack.service.identity.form_key import FormKey
from keyrack.service.identity.known_devices import KnownDevices
from keyrack.service.identity.one_time_codes import CodeKind, WrongCode, judge_code
from keyrack.service.identity.password_hashing import NOBODYS, PasswordHashing
from keyrack.service.identity.password_rules import LONGEST, normal_password, require_good_password
from keyrack.store.audit_log import AuditLog
from keyrack.store.authenticators import Authenticators, PendingSignIns
from keyrack.store.console_accounts import ConsoleAccounts
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.identities import Identities, Identity
from keyrack.store.single_sign_on import SingleSignOnRows
from keyrack.validation.emails import LONGEST_EMAIL

log = structlog.get_logger()

AUDITED: Mapping[PrincipalKind, str] = {
    PrincipalKind.user: "user",
    PrincipalKind.service_account: "service-account",
}
"""What the audit log calls those who sign in."""
WAITS_FOR_CODE = timedelta(minutes=10)
"""For how long a right password waits for its code."""
_BYTES = 32
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SESSIONS = 50
"""Of an account; the oldest makes room for the next."""
_NOTED = timedelta(minutes=1)
"""How exactly it is known when a session was used last: not every request writes."""


class WrongPassword(BadRequest):
    """No such account, no password, another one, or a tenant that takes none: which of these is not told."""


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
class BegunSignIn:
    """What came of a right password.

    Attributes:
        token: what the browser is to hold from now on, and nobody else knows.
        needs_code: whether a code has to follow; until then nobody is signed in.
    """

    token: Secret
    needs_code: bool


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
        two_step_since: since when a code is asked for, too.
    """

    sessions: Sequence[ConsoleSession]
    password_since: datetime | None
    two_step_since: datetime | None


class ConsoleSignIn:
    """Sessions of the console.

    Attributes:
        devices: remembers the browsers in which somebody has signed in.
        form_key: what the console knows of its own forms by.

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
        self.devices = KnownDevices(store)
        self.form_key = FormKey(store)

    def now(self) -> datetime:
        """Return the time by which sessions are judged."""
        return self._store.clock()

    async def sign_in(self, name: str, password: str, visitor: Visitor) -> BegunSignIn:
        """Check a password, and begin a session, or wait for a code where one is asked for (decision 29).

        Whether there is such an account makes no difference to what is asked of the database and what is hashed.

        Args:
            name: the email of a user, or the name of a service account.
            password: what was typed.
            visitor: from where.

        Raises:
            WrongPassword: it is not that account's, or there is none.
            RateLimited: too many passwords wait to be checked.
        """
        wanted = name if len(name) <= LONGEST_EMAIL and "\0" not in name else ""
        async with self._store.installation() as unit:
            found = await Identities(unit).signing_in(wanted)
        identity, stored = found or (None, NOBODYS)
        given = normal_password(password[: LONGEST + 1])
        if not await self._passwords.matches(visitor.source, stored, given) or identity is None:
            log.warning("wrong password", account=None if identity is None else identity.id, address=visitor.address)
            raise self._wrong_password(identity, name, visitor)
        async with home_unit(self._store, identity.tenant_id) as unit:
            accounts = ConsoleAccounts(unit)
            who = await accounts.hold(identity.kind, identity.id)
            now = await accounts.password(identity.kind, identity.id)
            if who is None or now is None or not hmac.compare_digest(now[0], stored):  # changed meanwhile
                raise self._wrong_password(identity, name, visitor)
            if who.tenant_id is not None and not await SingleSignOnRows(unit).allows_passwords():
                raise self._wrong_password(identity, name, visitor)
            authenticator = await Authenticators(unit).find(who.kind, who.id)
            if authenticator is None or authenticator.confirmed_at is None:
                return BegunSignIn(await begin_session(unit, who, visitor), needs_code=False)
            token = _new_token()
            await PendingSignIns(unit).add(who.kind, who.id, session_hash(token), now[1])
            return BegunSignIn(token, needs_code=True)

    def _wrong_password(self, identity: Identity | None, name: str, visitor: Visitor) -> WrongPassword:
        """Count a sign-in that was refused, in the log of the account's tenant, or in the installation's."""
        who = stranger(name) if identity is None else _principal(identity, None, None)
        target = ("console-session", None) if identity is None else (AUDITED[identity.kind], identity.id)
        tenant_id = "" if identity is None else identity.tenant_id or ""
        self._access.counts.refused(who, visitor.address, tenant_id, "console-session.create", target)
        return WrongPassword()

    async def waiting(self, token: Secret) -> Principal:
        """Return whose sign-in waits for a code in a browser.

        Args:
            token: what the browser holds.

        Raises:
            Unauthorized: nobody's, or not any more.
        """
        identity, _ = await self._waiting(token)
        return _principal(identity, None, None)

    async def sign_in_with_code(self, token: Secret, code: str, visitor: Visitor) -> Secret:
        """Check the code that a sign-in waits for and begin a session; return what the browser is to hold from now on.

        Args:
            token: what the browser holds since its password was right.
            code: of the app, or a recovery code.
            visitor: from where.

        Raises:
            Unauthorized: no sign-in waits there, or not any more.
            WrongCode: it is not right, or was used before.
            RateLimited: too many codes were wrong just now.
        """
        identity, pending = await self._waiting(token)
        async with home_unit(self._store, identity.tenant_id) as unit:
            accounts, rows = ConsoleAccounts(unit), Authenticators(unit)
            who = await accounts.hold(identity.kind, identity.id)
            password = await accounts.password(identity.kind, identity.id)
            authenticator = await rows.find(identity.kind, identity.id)
            if (
                who is None
                or password is None
                or password[1] != pending.password_set_at
                or authenticator is None
                or authenticator.confirmed_at is None
                or not await PendingSignIns(unit).is_waiting(pending.id)
                or (who.tenant_id is not None and not await SingleSignOnRows(unit).allows_passwords())
            ):
                raise Unauthorized
            kind = await judge_code(rows, authenticator, code, unit.clock())
            if kind is not None:
                await PendingSignIns(unit).take(pending.id)
                return await begin_session(unit, who, visitor, with_recovery_code=kind is CodeKind.recovery)
            told = _as_from(who, visitor)
            await AuditLog(unit).append(told, "console-session.create", (AUDITED[who.kind], who.id), DENIED)
        log.warning("wrong code", account=identity.id, address=visitor.address)
        raise WrongCode

    async def _waiting(self, token: Secret) -> tuple[Identity, PendingSignIn]:
        async with self._store.installation() as unit:
            found, now = await Identities(unit).pending_sign_in(session_hash(token)), unit.clock()
        if found is None or found[1].created_at <= now - WAITS_FOR_CODE:
            raise Unauthorized
        return found

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
            found, now = await Identities(unit).console_session(session_hash(token)), unit.clock()
        if found is None:
            raise Unauthorized
        identity, session = found
        if session.seen_at <= now - self._idle or session.created_at <= now - self._longest:
            raise Unauthorized
        who = _principal(identity, address, request_id)
        stale = now - session.seen_at >= min(_NOTED, self._idle / 10) or session.address != address
        if used and stale:
            with suppress(DiskFull):  # reading goes on
                async with home_unit(self._store, who.tenant_id) as unit:
                    await ConsoleSessions(unit).seen(session.id, address)
        return SignedIn(who, session)

    async def leave(self, token: Secret, visitor: Visitor) -> None:
        """End the session that a browser held before somebody signed in there anew, if there was one."""
        with suppress(Unauthorized):
            await self.sign_out(await self.signed_in(token, visitor.address, visitor.request_id, used=False))

    async def sign_out(self, signed_in: SignedIn) -> None:
        """End a session, by whoever is in it."""
        with suppress(NotFound):  # it has just been ended elsewhere
            await self.end_session(signed_in.who, signed_in.session.id)

    async def own_sessions(self, who: Principal) -> OwnSessions:
        """Return the sessions of the caller that have not ended, and since when the password is good."""
        async with self._access.at_home(who) as scope:
            now = scope.unit.clock()
            found = await ConsoleSessions(scope.unit).of_owner(
                who.kind, who.id, seen_after=now - self._idle, created_after=now - self._longest
            )
            password = await ConsoleAccounts(scope.unit).password(who.kind, who.id)
            authenticator = await Authenticators(scope.unit).find(who.kind, who.id)
            return OwnSessions(
                found,
                None if password is None else password[1],
                None if authenticator is None else authenticator.confirmed_at,
            )

    async def end_session(self, who: Principal, session_id: str) -> None:
        """End one of the caller's sessions, at once.

        Raises:
            NotFound: the caller has no such session.
        """
        async with self._access.at_home(who, "console-session.end") as scope:
            if not await ConsoleSessions(scope.unit).end(who.kind, who.id, session_id):
                raise NotFound("you have no such session")
            scope.audit_target("console-session", session_id)

    async def end_other_sessions(self, signed_in: SignedIn) -> int:
        """End all of the caller's sessions but this one, at once; return how many."""
        who = signed_in.who
        async with self._access.at_home(who, "console-session.end-others") as scope:
            scope.audit_target(AUDITED[who.kind], who.id)
            return await ConsoleSessions(scope.unit).end_others(who.kind, who.id, signed_in.session.id)

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
        stored = await self.require_password(who, current, source)
        require_good_password(chosen, who.name)
        hashed = await self._passwords.hash(who.tenant_id or who.id, chosen)
        async with self._access.at_home(who, "password.change") as scope:
            accounts = ConsoleAccounts(scope.unit)
            await accounts.hold(who.kind, who.id)
            if await accounts.password(who.kind, who.id) != stored:
                raise WrongPassword
            await accounts.set_password(who.kind, who.id, hashed)
            await PendingSignIns(scope.unit).forget(who.kind, who.id)
            await ConsoleSessions(scope.unit).end_others(who.kind, who.id, signed_in.session.id)
            scope.audit_target(AUDITED[who.kind], who.id)

    async def require_password(self, who: Principal, password: str, source: str) -> tuple[str, datetime]:
        """Insist that the caller's password is given; return its hash, and since when it is good.

        Raises:
            WrongPassword: it is another, or there is none.
            RateLimited: too many passwords wait to be checked.
        """
        async with self._access.at_home(who) as scope:
            stored = await ConsoleAccounts(scope.unit).password(who.kind, who.id)
        given = normal_password(password[: LONGEST + 1])
        if not await self._passwords.matches(source, NOBODYS if stored is None else stored[0], given) or stored is None:
            raise WrongPassword
        return stored


def home_unit(store: Store, tenant_id: str | None) -> AbstractAsyncContextManager[Unit]:
    """Open a unit that writes where the rows of somebody are: in the tenant, or in the installation without one."""
    return store.installation(writes=True) if tenant_id is None else store.unit(tenant_id, writes=True)


async def begin_session(unit: Unit, who: Principal, visitor: Visitor, *, with_recovery_code: bool = False) -> Secret:
    """Begin a session of somebody who has proved who they are; return what the browser is to hold.

    Args:
        unit: of the account's tenant, or of the installation; it holds the account (`ConsoleAccounts.hold`).
        who: who signs in.
        visitor: from where.
        with_recovery_code: whether one was used up, which the audit log tells.
    """
    token, sessions = _new_token(), ConsoleSessions(unit)
    earlier = await sessions.of_owner(who.kind, who.id, seen_after=_BEGINNING, created_after=_BEGINNING)
    for old in earlier[: 1 - _MOST_SESSIONS]:
        await sessions.end(who.kind, who.id, old.id)
    made = await sessions.add(who.kind, who.id, session_hash(token), visitor.address, visitor.browser)
    await ConsoleAccounts(unit).signed_in(who.kind, who.id)
    told = _as_from(who, visitor)
    if with_recovery_code:
        await AuditLog(unit).append(told, "recovery-code.use", (AUDITED[who.kind], who.id), ALLOWED)
    await AuditLog(unit).append(told, "console-session.create", ("console-session", made.id), ALLOWED)
    return token


def session_hash(token: Secret) -> str:
    """Return what is stored of what a browser holds: 64 hex characters. 256 random bits need no slow hash."""
    text = token.reveal().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=32, person=b"keyrack console").hexdigest()


def _new_token() -> Secret:
    return Secret(secrets.token_urlsafe(_BYTES))


def _as_from(who: Principal, visitor: Visitor) -> Principal:
    return replace(who, address=visitor.address, request_id=visitor.request_id)


def _principal(identity: Identity, address: str | None, request_id: str | None) -> Principal:
    return Principal(
        identity.kind, identity.id, identity.name, identity.tenant_id, identity.permissions, address, request_id
    )
