"""Turns the second step of signing in to the console on and off: codes of an authenticator app (decision 29)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from keyrack.crypto.secret import Secret
from keyrack.crypto.totp import matching_step, new_recovery_code, new_totp_secret, recovery_hash
from keyrack.errors import StateConflict
from keyrack.model.identity import Authenticator, Principal, PrincipalKind
from keyrack.service.authz.access import Access
from keyrack.service.identity.console_sign_in import AUDITED, ConsoleSignIn, SignedIn, home_unit
from keyrack.service.identity.one_time_codes import WrongCode, judge_code
from keyrack.store.authenticators import Authenticators, PendingSignIns
from keyrack.store.console_accounts import ConsoleAccounts
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.users import UserRows

DISABLE_FOR_USERS = "tenants.user.disable_totp"
RECOVERY_CODES = 10
_BEGUN_FOR = timedelta(minutes=30)
"""After which an app that was not confirmed must be begun anew."""
_ALREADY_ON = "two-step sign-in is on already"
_NOT_ON = "two-step sign-in is not on"


@dataclass(frozen=True, slots=True)
class TwoStepStatus:
    """What people see of their second step.

    Attributes:
        since: since when signing in asks for a code; None: it does not.
        recovery_codes: how many are left.
        secret: of an app that was begun in this session and is to be confirmed; None: there is none.
    """

    since: datetime | None
    recovery_codes: int
    secret: Secret | None


class TwoStep:
    """For users and service accounts, about themselves; and for admins, about users who have lost their phone.

    Args:
        store: all data.
        access: the way into every operation.
        sign_in: checks passwords.
    """

    def __init__(self, store: Store, access: Access, sign_in: ConsoleSignIn) -> None:
        self._store = store
        self._access = access
        self._sign_in = sign_in

    async def status(self, signed_in: SignedIn) -> TwoStepStatus:
        """Return how it is with the caller."""
        who = signed_in.who
        async with self._access.at_home(who) as scope:
            found, now = await Authenticators(scope.unit).find(who.kind, who.id), scope.unit.clock()
        if found is None:
            return TwoStepStatus(None, 0, None)
        secret = found.secret if _is_begun(found, signed_in, now) else None
        return TwoStepStatus(found.confirmed_at, len(found.recovery_hashes), secret)

    async def begin(self, signed_in: SignedIn) -> None:
        """Make a secret for an app, which only this session sees; nothing is asked for until it is confirmed.

        Raises:
            StateConflict: the second step is on already.
        """
        who = signed_in.who
        async with self._access.at_home(who, "totp.begin") as scope:
            await ConsoleAccounts(scope.unit).hold(who.kind, who.id)
            rows = Authenticators(scope.unit)
            if (found := await rows.find(who.kind, who.id)) is not None and found.confirmed_at is not None:
                raise StateConflict(_ALREADY_ON)
            await rows.begin(who.kind, who.id, new_totp_secret(), signed_in.session.id)
            scope.audit_target(AUDITED[who.kind], who.id)

    async def confirm(self, signed_in: SignedIn, code: str, password: str, source: str) -> list[Secret]:
        """Turn the second step on, which ends all other sessions; return the recovery codes, this once.

        Args:
            signed_in: who, in the session in which it was begun.
            code: what the app shows.
            password: the caller's.
            source: as in `Visitor`.

        Raises:
            StateConflict: it is on already, or was not begun in this session, or too long ago.
            WrongPassword: the password is another.
            WrongCode: the code is not the app's.
            RateLimited: too many passwords wait to be checked.
        """
        who = signed_in.who
        await self._sign_in.require_password(who, password, source)
        async with self._access.at_home(who, "totp.enable") as scope:
            await ConsoleAccounts(scope.unit).hold(who.kind, who.id)
            rows, now = Authenticators(scope.unit), scope.unit.clock()
            found = await rows.find(who.kind, who.id)
            if found is None or not _is_begun(found, signed_in, now):
                raise StateConflict(_ALREADY_ON if found is not None and found.confirmed_at else "begin anew")
            step = matching_step(found.secret, "".join(code.split()), now)
            if step is None:
                raise WrongCode
            codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
            await rows.confirm(found.id, step, [recovery_hash(each.reveal()) for each in codes])
            await ConsoleSessions(scope.unit).end_others(who.kind, who.id, signed_in.session.id)
            scope.audit_target(AUDITED[who.kind], who.id)
            return codes

    async def renew_recovery_codes(self, signed_in: SignedIn, code: str, password: str, source: str) -> list[Secret]:
        """Replace the caller's recovery codes; return the new ones, this once. As `disable`."""
        who = signed_in.who
        used = await self._judged(who, code, password, source)
        async with self._access.at_home(who, "recovery-codes.renew") as scope:
            await ConsoleAccounts(scope.unit).hold(who.kind, who.id)
            await _require_same(scope.unit, who, used)
            codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
            hashes = [recovery_hash(each.reveal()) for each in codes]
            await Authenticators(scope.unit).keep_recovery_codes(used, hashes)
            scope.audit_target(AUDITED[who.kind], who.id)
            return codes

    async def disable(self, signed_in: SignedIn, code: str, password: str, source: str) -> None:
        """Turn the caller's second step off.

        Args:
            signed_in: who.
            code: what the app shows, or a recovery code.
            password: the caller's.
            source: as in `Visitor`.

        Raises:
            StateConflict: it is not on.
            WrongPassword: the password is another.
            WrongCode: the code is not right, or was used before.
            RateLimited: too many codes were wrong just now, or too many passwords wait to be checked.
        """
        who = signed_in.who
        used = await self._judged(who, code, password, source)
        async with self._access.at_home(who, "totp.disable") as scope:
            await ConsoleAccounts(scope.unit).hold(who.kind, who.id)
            await _require_same(scope.unit, who, used)
            await _remove(scope.unit, who.kind, who.id)
            scope.audit_target(AUDITED[who.kind], who.id)

    async def is_on_for_user(self, who: Principal, user_id: str) -> bool:
        """Tell whether signing in asks a user for a code, to those who may turn it off.

        Raises:
            NotFound: there is no such user.
            Forbidden: the caller may not know.
        """
        place = await self._access.locate_for(who, "user", user_id)
        async with self._access.at(who, place) as scope:
            scope.require(DISABLE_FOR_USERS)
            found = await Authenticators(scope.unit).find(PrincipalKind.user, user_id)
            return found is not None and found.confirmed_at is not None

    async def disable_for_user(self, who: Principal, user_id: str) -> None:
        """Turn the second step off for a user who has lost the phone; the password stays.

        Raises:
            NotFound: there is no such user.
            Forbidden: the caller lacks the permission `tenants.user.disable_totp` there.
            StateConflict: it is not on.
        """
        place = await self._access.locate_for(who, "user", user_id)
        async with self._access.at(who, place, "totp.disable") as scope:
            scope.require(DISABLE_FOR_USERS)
            await UserRows(scope.unit).lock_to_change(user_id)
            if not await _remove(scope.unit, PrincipalKind.user, user_id):
                raise StateConflict(_NOT_ON)
            scope.audit_target("user", user_id)

    async def _judged(self, who: Principal, code: str, password: str, source: str) -> str:
        """Check password and code, which is used up whatever comes of the rest; return the authenticator's id."""
        await self._sign_in.require_password(who, password, source)
        async with home_unit(self._store, who.tenant_id) as unit:
            await ConsoleAccounts(unit).hold(who.kind, who.id)
            rows = Authenticators(unit)
            found = await rows.find(who.kind, who.id)
            if found is None or found.confirmed_at is None:
                raise StateConflict(_NOT_ON)
            kind = await judge_code(rows, found, code, unit.clock())
        if kind is None:
            raise WrongCode
        return found.id


async def _require_same(unit: Unit, who: Principal, authenticator_id: str) -> None:
    found = await Authenticators(unit).find(who.kind, who.id)
    if found is None or found.id != authenticator_id:
        raise StateConflict(_NOT_ON)


async def _remove(unit: Unit, kind: PrincipalKind, owner_id: str) -> bool:
    await PendingSignIns(unit).forget(kind, owner_id)
    return await Authenticators(unit).remove(kind, owner_id)


def _is_begun(found: Authenticator, signed_in: SignedIn, now: datetime) -> bool:
    """Tell whether somebody has begun an app in a session and can confirm it there."""
    fresh = found.created_at > now - _BEGUN_FOR
    return found.confirmed_at is None and fresh and found.session_id == signed_in.session.id
