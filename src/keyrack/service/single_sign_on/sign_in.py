"""Signs people in to the console through their organisation's OpenID provider, and tests that (decision 31)."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.errors import BadRequest, KeyrackError, NotFound
from keyrack.ids import is_id, new_id
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.single_sign_on import AuthenticationContext, AuthenticationRequest, SingleSignOn, TestResult
from keyrack.oauth.id_token import new_nonce
from keyrack.oauth.pkce import new_verifier
from keyrack.oauth.state import new_state, state_hash
from keyrack.service.authz.access import ALLOWED, DENIED, Access, home
from keyrack.service.consents.failure_text import reason_of, said_by_provider
from keyrack.service.identity.console_sign_in import Visitor, begin_session
from keyrack.service.single_sign_on.accounts import Found, How, NoAccount, find_account, take_account
from keyrack.service.single_sign_on.identity_provider import IdentityProvider, Person
from keyrack.service.single_sign_on.settings import EDIT, sign_in_address
from keyrack.service.tenancy.invite_acceptance import welcome
from keyrack.store.audit_log import AuditLog
from keyrack.store.authentication_requests import AuthenticationRequests
from keyrack.store.console_accounts import ConsoleAccounts
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.identities import Identities
from keyrack.store.single_sign_on import LinkedIdentities, SingleSignOnRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.validation.emails import LONGEST_EMAIL

LIFETIME = timedelta(minutes=10)
"""In which a sign-in that was begun can be finished, and a test looked at."""

_SIGN_IN, _TEST = "single-sign-on.sign-in", "single-sign-on.test"
_TARGET = "single-sign-on"


class UnknownSignIn(BadRequest):
    """This sign-in was finished before, or was never begun here. Begin it again."""


class SignInExpired(BadRequest):
    """It took longer than ten minutes to sign in. Begin again."""


class SignInElsewhere(BadRequest):
    """This sign-in was begun in another browser, or before you signed in here. Begin again in this one."""


class SettingsChanged(BadRequest):
    """Single sign-on was set up anew for your organisation while you were signing in. Begin again."""


class SignInFailed(BadRequest):
    """Nobody was signed in.

    Attributes:
        said: `error`, `error_description` and `error_uri`, as far as the provider said something.
    """

    def __init__(self, detail: str, said: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.said = said


@dataclass(frozen=True, slots=True)
class Organisation:
    """What somebody is told before they go to their organisation's provider.

    Attributes:
        tenant_id: the tenant.
        name: its name.
        provider: host of its provider.
    """

    tenant_id: str
    name: str
    provider: str


@dataclass(frozen=True, slots=True)
class SignOut:
    """Where somebody signs out at their organisation, too.

    Attributes:
        provider: host of its provider.
        address: where to go; the provider asks.
    """

    provider: str
    address: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of an answer.

    Attributes:
        token: what the browser is to hold, whose session has begun; None: it was a test.
        next: the page of ours to go to.
        test_id: of the test.
    """

    token: Secret | None
    next: str
    test_id: str | None = None


class OrganisationSignIn:
    """Sign-ins by way of a tenant's provider.

    Args:
        store: all data.
        access: the way into every operation.
        provider: asks the provider who somebody is.
        public_url: the setting of this name.
    """

    def __init__(self, store: Store, access: Access, provider: IdentityProvider, *, public_url: str | None) -> None:
        self._store = store
        self._access = access
        self._provider = provider
        self._public_url = public_url

    async def organisation(self, tenant_id: str) -> Organisation:
        """Return where the people of a tenant sign in.

        Raises:
            NotFound: there is no such tenant, or it has no single sign-on.
        """
        async with self._store.unit(await self._tenant(tenant_id)) as unit:
            settings, tenant = await SingleSignOnRows(unit).find(), await TenantRows(unit).find(unit.tenant_id)
        if settings is None or tenant is None:
            raise NotFound
        return Organisation(tenant_id, tenant.name, urlsplit(settings.issuer).netloc)

    async def sign_out_of(self, who: Principal) -> SignOut | None:
        """Return where somebody who has signed out here may do so at their organisation, or None if nowhere.

        Args:
            who: whoever was signed in here, by whichever way; only one who is linked there may be signed in there.
        """
        if who.kind is not PrincipalKind.user or who.tenant_id is None:
            return None
        async with self._store.unit(who.tenant_id) as unit:
            settings = await SingleSignOnRows(unit).find()
            if settings is None or not await LinkedIdentities(unit).is_linked(who.id):
                return None
            back = await sign_in_address(unit, self._public_url)
        address = await self._provider.sign_out_address(settings, back)
        return None if address is None else SignOut(urlsplit(settings.issuer).netloc, address)

    async def tenant_of(self, email: str) -> str | None:
        """Return the tenant whose people sign in with emails of this domain, whether or not this one has an account."""
        wanted = email if len(email) <= LONGEST_EMAIL and "\0" not in email else ""
        async with self._store.installation() as unit:
            return await Identities(unit).tenant_of_email_domain(wanted)

    async def begin(self, tenant_id: str, cookie: Secret, go_to: str, login_hint: str | None = None) -> str:
        """Begin a sign-in in a browser; return where it goes to.

        Args:
            tenant_id: the tenant.
            cookie: what the browser holds, in which it has to be finished.
            go_to: the page of ours to go to afterwards.
            login_hint: the email that was given, which the provider may fill in.

        Raises:
            NotFound: there is no such tenant, or it has no single sign-on.
            ProviderError, ProviderUnavailable: the provider cannot be asked.
        """
        async with self._store.unit(await self._tenant(tenant_id)) as unit:
            settings = await SingleSignOnRows(unit).find()
            if settings is None:
                raise NotFound
            request = await self._request(unit, settings, cookie, go_to)
        state = new_state()
        address = await self._provider.address(settings, request, state, login_hint)
        async with self._store.unit(tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold():
                raise NotFound
            await AuthenticationRequests(unit).add(request, state_hash(state))
        return address

    async def begin_test(self, who: Principal, cookie: Secret) -> str:
        """Begin a sign-in that signs nobody in, to see what comes back; return where the browser goes to.

        Raises:
            NotFound: the tenant has no single sign-on.
            ProviderError, ProviderUnavailable: the provider cannot be asked.
        """
        async with self._access.tenant(who, home(who)) as scope:
            scope.require(EDIT)
            settings = await SingleSignOnRows(scope.unit).find()
            if settings is None:
                raise NotFound("there is no single sign-on")
            request = await self._request(scope.unit, settings, cookie, "", tester_id=who.id)
        state = new_state()
        address = await self._provider.address(settings, request, state, None)
        async with self._access.tenant(who, home(who), _TEST) as scope:
            scope.require(EDIT)
            await AuthenticationRequests(scope.unit).add(request, state_hash(state))
            scope.audit_target(_TARGET, settings.id)
        return address

    async def test_result(self, who: Principal, test_id: str) -> TestResult:
        """Return what came of a test of the caller's.

        Raises:
            NotFound: there is no such test, it is not finished, or it is over.
        """
        async with self._access.tenant(who, home(who)) as scope:
            scope.require(EDIT)
            found = await AuthenticationRequests(scope.unit).test(test_id, who.id)
        if found is None or found.result is None or found.expires_at <= self._store.clock():
            raise NotFound
        return found.result

    async def finish(
        self, tenant_id: str, params: Mapping[str, str], cookie: Secret | None, visitor: Visitor
    ) -> Finished:
        """Take the provider's answer, once: sign the person in, or keep what came of a test.

        Args:
            tenant_id: whose redirect URI it came to.
            params: its query parameters.
            cookie: what the browser holds.
            visitor: where it is.

        Raises:
            UnknownSignIn: the state is not of a sign-in of this tenant, or was used.
            SignInExpired: it is too late.
            SignInElsewhere: it was begun in another browser; nothing was used up.
            SettingsChanged: the provider or client is another one by now.
            SignInFailed: the provider refused, or nobody here is the person.
        """
        request = await self._taken(tenant_id, params, cookie)
        async with self._store.unit(tenant_id) as unit:
            settings = await SingleSignOnRows(unit).find()
        asked = (request.context.issuer, request.context.client_id)
        if settings is None or (settings.issuer, settings.client_id) != asked:
            raise SettingsChanged
        if request.tester_id is not None:
            await self._finish_test(settings, request, params)
            return Finished(None, "", request.id)
        try:
            person = await self._provider.person(settings, request, params)
        except KeyrackError as error:
            raise SignInFailed(reason_of(error), said_by_provider(error)) from None
        try:
            return Finished(await self._let_in(settings, person, visitor), request.context.next)
        except NoAccount as error:
            await self._record_refusal(settings, visitor)
            raise SignInFailed(str(error), {}) from None

    async def _taken(self, tenant_id: str, params: Mapping[str, str], cookie: Secret | None) -> AuthenticationRequest:
        """Use up the request that an answer belongs to."""
        hashed = state_hash(params.get("state", ""))
        async with self._store.installation() as unit:
            place = await Directory(unit).authentication_request(hashed)
        if place is None or place.tenant_id != tenant_id:
            raise UnknownSignIn
        async with self._store.unit(tenant_id, writes=True) as unit:
            rows = AuthenticationRequests(unit)
            request = await rows.by_state(hashed)
            if request is None or request.used_at is not None:
                raise UnknownSignIn
            if cookie is None or not hmac.compare_digest(request.browser_hash, _browser_hash(request.id, cookie)):
                raise SignInElsewhere
            if request.expires_at <= unit.clock():
                raise SignInExpired
            if not await rows.take(request.id):
                raise UnknownSignIn
        return request

    async def _let_in(self, settings: SingleSignOn, person: Person, visitor: Visitor) -> Secret:
        async with self._store.unit(settings.tenant_id, writes=True) as unit:
            current = await SingleSignOnRows(unit).find() if await TenantRows(unit).hold() else None
            if current is None or (current.issuer, current.client_id) != (settings.issuer, settings.client_id):
                raise SettingsChanged  # while the provider was asked; from here on nobody changes them
            found = await take_account(unit, current, person)
            user = found.user
            if user is None:
                raise NoAccount
            who = Principal(
                PrincipalKind.user, user.id, user.email, unit.tenant_id,
                address=visitor.address, request_id=visitor.request_id,
            )  # fmt: skip
            log = AuditLog(unit)
            if found.how is How.new:
                await log.append(who, "user.create", ("user", user.id), ALLOWED)
                await welcome(unit, who, user)
            if found.how is not How.linked:
                await log.append(who, f"{_TARGET}.link", ("user", user.id), ALLOWED)
            await log.append(who, _SIGN_IN, (_TARGET, settings.id), ALLOWED)
            await UserRows(unit).take_into_use(user.id)
            await ConsoleAccounts(unit).hold(who.kind, who.id)
            return await begin_session(unit, who, visitor)

    async def _finish_test(
        self, settings: SingleSignOn, request: AuthenticationRequest, params: Mapping[str, str]
    ) -> None:
        claims: Mapping[str, str] = {}
        try:
            person = await self._provider.person(settings, request, params)
            claims = person.claims
            async with self._store.unit(settings.tenant_id) as unit:
                result = TestResult(works=True, told=_told(await find_account(unit, settings, person)), claims=claims)
        except KeyrackError as error:
            result = TestResult(works=False, told=reason_of(error), said=said_by_provider(error), claims=claims)
        async with self._store.unit(settings.tenant_id, writes=True) as unit:
            if await TenantRows(unit).hold():
                await AuthenticationRequests(unit).finish_test(request.id, result)

    async def _record_refusal(self, settings: SingleSignOn, visitor: Visitor) -> None:
        """Write down that the provider vouched for somebody whom nobody here is."""
        nobody = Principal(
            PrincipalKind.system, "", "single sign-on", settings.tenant_id,
            address=visitor.address, request_id=visitor.request_id,
        )  # fmt: skip
        async with self._store.unit(settings.tenant_id, writes=True) as unit:
            if await TenantRows(unit).hold():
                await AuditLog(unit).append(nobody, _SIGN_IN, (_TARGET, settings.id), DENIED)

    async def _request(
        self, unit: Unit, settings: SingleSignOn, cookie: Secret, go_to: str, tester_id: str | None = None
    ) -> AuthenticationRequest:
        request_id, now = new_id(), unit.clock()
        redirect_uri = f"{await sign_in_address(unit, self._public_url)}/callback"
        context = AuthenticationContext(
            settings.issuer, settings.client_id, redirect_uri, new_verifier(), new_nonce(), go_to
        )
        return AuthenticationRequest(
            request_id, tester_id, _browser_hash(request_id, cookie), context, now, now + LIFETIME
        )

    async def _tenant(self, tenant_id: str) -> str:
        async with self._store.installation() as unit:
            place = await Directory(unit).tenant(tenant_id) if is_id(tenant_id) else None
        if place is None:
            raise NotFound
        return place.tenant_id


def _told(found: Found) -> str:
    """Say what a sign-in would have done."""
    if found.user is None:
        return "A new account without roles would be made, and signed in."
    if found.how is How.by_email:
        return f"{found.user.email} would be signed in, and linked with this person from then on."
    return f"{found.user.email} would be signed in."


def _browser_hash(request_id: str, cookie: Secret) -> str:
    """Return what is stored of a browser with a sign-in: 64 hex characters, others for every sign-in."""
    return hashlib.sha256(f"authentication {request_id} {cookie.reveal()}".encode()).hexdigest()
