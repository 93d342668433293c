"""Completes a consent: callback, code exchange, and what is stored (contract sections 20 and 21).

No transaction is open while the provider is called (design, invariant 3): the callback consumes the state in one unit
of work, exchanges the code through the journal, and stores the result in another. What is said to the provider is each
protocol's own: `protocols`. What becomes of the tokens is each generation's: `credential_handler` and `secret_handler`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import DatabaseUnavailable, KeyrackError, ProviderError, ProviderUnavailable, StateConflict
from keyrack.ids import new_id
from keyrack.model.consents import Consent, ConsentStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse
from keyrack.oauth.wire import RawResponse
from keyrack.service.authz.access import Access, Scope
from keyrack.service.consents.browser import cookie_of, is_secure, new_cookie
from keyrack.service.consents.connect_outcome import ConnectOutcomes
from keyrack.service.consents.failure_text import reason_of, said_by_provider, told_of
from keyrack.service.consents.id_tokens import IdTokens
from keyrack.service.consents.long_lived_tokens import LongLivedTokens
from keyrack.service.consents.protocols import (
    OAUTH1,
    OAUTH2,
    AuthorizationCode,
    ConsentProtocol,
    TemporaryCredentials,
)
from keyrack.service.consents.provider_accounts import Identified, ProviderAccounts
from keyrack.service.consents.return_url import with_result
from keyrack.service.consents.second_delivery import SecondDeliveries
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.consents.values import (
    TARGET,
    ConsentDestination,
    ConsentExpired,
    ConsentHandler,
    ConsentHandlers,
    ConsentOutcome,
    OtherBrowser,
    UnknownState,
)
from keyrack.service.secrets.refresh.journal import Journal, nothing_to_check
from keyrack.service.secrets.refresh.outcome import is_ambiguous
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.consents import ConsentRows
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Location
from keyrack.store.tenants import TenantRows

_COMPLETE = "consent.complete"
_INTERRUPTED = "Connecting was interrupted before the provider's answer reached us. Start again."


class ConsentCallbacks:
    """Finishes consents.

    Args:
        store: where they are.
        access: the way into every operation.
        journal: exchanges codes.
        long_lived: what is asked for afterwards where the first token is a short-lived one.
        targets: where the tokens go.
        issuers: what is known of authorization servers.
        accounts: finds out whose accounts are connected.
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        journal: Journal,
        long_lived: LongLivedTokens,
        targets: ConsentHandlers,
        issuers: ServerMetadata,
        accounts: ProviderAccounts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._journal = journal
        self._long_lived = long_lived
        self._targets = targets
        self._issuers = issuers
        self._id_tokens = IdTokens(issuers)
        self._accounts = accounts
        self._links = ConnectOutcomes(targets)
        self._clock = clock
        self.second = SecondDeliveries(store, targets, clock)
        self._protocols: dict[str, ConsentProtocol] = {
            OAUTH2: AuthorizationCode(),
            OAUTH1: TemporaryCredentials(clock),
        }
        self._finishing: set[str] = set()

    async def finish(
        self,
        protocol: str,
        params: Mapping[str, str],
        cookies: Mapping[str, str],
        address: str | None,
        request_id: str | None,
    ) -> ConsentOutcome:
        """Take a callback: consume the state, exchange the code, store what comes of it (contract 20.3, 20.4, 21).

        What was delivered before is told again and nothing is done again: to the same browser, or within a minute
        (0.21). While the first delivery is being dealt with, the second waits for it.

        Args:
            protocol: whose callback it is.
            params: the callback's query parameters.
            cookies: of the browser.
            address: where the browser is, for the audit log.
            request_id: the request's id, for the audit log.

        Raises:
            UnknownState: the state, or OAuth 1.0a's token, is unknown or used; nothing was stored.
            ConsentExpired: it was ours, and it is too late.
            OtherBrowser: the consent is bound to another browser; nothing was used up.
            DatabaseUnavailable: the database is gone. If the provider's answer has come, it is safe, and what comes
                of it is stored once the database is back.
        """
        arrived, hashed = self._clock(), self._protocols[protocol].lookup(params)
        consent, place = await self._find(hashed)
        secure = is_secure(consent.context.redirect_uri or "https://")
        known = cookie_of(cookies, secure=secure)
        mine = None if known is None else known.hash_for(consent.id)
        if consent.bound and (mine is None or mine != consent.browser_hash):
            raise OtherBrowser
        if consent.status is ConsentStatus.pending:
            if consent.expires_at <= arrived:
                raise ConsentExpired
            iss_required = await self._iss_required(consent, params)
            cookie = known or new_cookie(secure=secure)
            async with self._store.unit(place.tenant_id, writes=True) as unit:
                taken = await ConsentRows(unit).consume(hashed, self._clock(), cookie.hash_for(consent.id))
            if taken is not None:
                who = await self._person(taken, address, request_id)
                ended = await self._finish_first(taken, place, who, params, iss_required=iss_required)
                return await self._reported(replace(ended, cookie=cookie), consent)
        return await self._reported(await self.second.answer(consent.id, place, mine, arrived), consent)

    async def _reported(self, ended: ConsentOutcome, consent: Consent) -> ConsentOutcome:
        """Add what the page is told that opened the consent's connect link, if it has one."""
        if consent.context.connect_link_id is None or ended.under_way:
            return ended
        async with self._store.unit(consent.tenant_id) as unit:
            return replace(ended, report=await self._links.report(unit, consent))

    async def _finish_first(
        self, consent: Consent, place: Location, who: Principal, params: Mapping[str, str], *, iss_required: bool
    ) -> ConsentOutcome:
        return_url = consent.context.return_url
        self._finishing.add(consent.id)
        try:
            result_id = await self._exchange(consent, place, who, params, iss_required=iss_required)
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            await self._fail(consent, place, who, error)
            return ConsentOutcome(reason_of(error), said_by_provider(error), return_url)
        finally:
            self._finishing.discard(consent.id)
        return ConsentOutcome(None, return_url=with_result(return_url, self._target(consent).parameter, result_id))

    async def _iss_required(self, consent: Consent, params: Mapping[str, str]) -> bool:
        """Tell whether a callback without `iss` cannot be from the issuer that is expected (RFC 9207 section 2.4)."""
        issuer, configured = consent.context.issuer, consent.context.sends_iss
        if issuer is None or "iss" in params:
            return False
        if configured is not None:
            return configured
        return await self._issuers.sends_iss(issuer, tenant_id=consent.tenant_id)

    async def recover(self, attempt: Attempt) -> bool:
        """Settle an exchange of a code that was interrupted: complete the consent if the answer is there, else fail it.

        Returns:
            Whether it is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if attempt.subject_id in self._finishing:
            return False
        async with self._store.unit(attempt.tenant_id) as unit:
            consent = await ConsentRows(unit).find(attempt.subject_id)
            kept = await Attempts(unit).find(attempt.id)
            answer = None if kept is None else await self._journal.read(unit, kept)
        if kept is None:
            return True
        if consent is None:
            await self._close(attempt, AttemptResult.superseded)
            return True
        if consent.status is not ConsentStatus.exchanging:
            await self._discard(consent, kept, answer, None, AttemptResult.superseded)
            return True
        async with self._store.installation() as unit:
            place = await Directory(unit).workspace(consent.workspace_id)
        if place is None:
            return False
        who = await self._person(consent, None, None)
        try:
            if answer is None:
                await self._close(attempt, AttemptResult.ambiguous)
                raise ProviderUnavailable(_INTERRUPTED)
            await self._complete(consent, place, who, kept, answer)
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            await self._fail(consent, place, who, error)
        return True

    async def _find(self, hashed: str) -> tuple[Consent, Location]:
        async with self._store.installation() as unit:
            place = await Directory(unit).consent_by_state(hashed)
        if place is None:
            raise UnknownState
        async with self._store.unit(place.tenant_id) as unit:
            consent = await ConsentRows(unit).by_state(hashed)
        if consent is None:
            raise UnknownState
        return consent, place

    async def _person(self, consent: Consent, address: str | None, request_id: str | None) -> Principal:
        """Return who started a consent, as the caller who finishes it."""
        async with self._store.installation() as unit:
            name = await Directory(unit).user_name(consent.user_id)
        return Principal(
            PrincipalKind.user,
            consent.user_id,
            name or "",
            tenant_id=consent.tenant_id,
            address=address,
            request_id=request_id,
        )

    async def _exchange(
        self, consent: Consent, place: Location, who: Principal, params: Mapping[str, str], *, iss_required: bool
    ) -> str:
        protocol = self._protocol(consent)
        granted = protocol.granted(consent, params, iss_required=iss_required)
        # Membership, visibility and client may have changed since the start (contract 0.17), or the contract been
        # suspended: told before the code is used up.
        async with self._access.at(who, place, precheck=_COMPLETE) as scope:
            destination = await self._revalidate(scope, consent)
            await self._links.require_current(scope.unit, consent)
        request = protocol.request(consent, destination.profile, granted)
        attempt = Attempt(new_id(), consent.tenant_id, AttemptKind.code, consent.id, 0, 0, node_id(), self._clock())
        try:
            answer = await self._journal.exchange(attempt, request, nothing_to_check)
        except ProviderUnavailable as error:
            await self._close(attempt, AttemptResult.ambiguous if is_ambiguous(error) else AttemptResult.unsent)
            raise
        return await self._complete(consent, place, who, attempt, answer, destination, granted)

    async def _complete(
        self,
        consent: Consent,
        place: Location,
        who: Principal,
        attempt: Attempt,
        answer: RawResponse,
        asked_for: ConsentDestination | None = None,
        granted: Secret | None = None,
    ) -> str:
        """Interpret the provider's answer and store what comes of it, once in the whole installation.

        Tokens that come too late, the contract having been suspended or deleted meanwhile, are not left alive.
        """
        long_lived = None
        try:
            answered_at = attempt.answered_at or self._clock()
            long_lived = await self._exchange_again(consent, place, who, answer, granted, answered_at)
            whose = await self._whose(consent, asked_for, long_lived, answer, granted)
            at = self._clock() if long_lived else answered_at
            # Judged again: the provider took its time.
            async with self._access.at(who, place, _COMPLETE) as scope:
                await ConsentRows(scope.unit).hold(consent.id)
                destination = await self._revalidate(scope, consent)
                tokens = long_lived or self._protocol(consent).tokens(consent, destination.profile, answer, granted)
                _require_bearer(tokens)
                result_id = await destination.store(scope, tokens, at, whose)
                await ConsentRows(scope.unit).complete(consent.id, result_id, consent.context)
                await self._links.connected(scope.unit, consent, result_id)
                if not await Attempts(scope.unit).landed(attempt.id):
                    raise StateConflict("this connection was finished elsewhere")
                scope.audit_target(self._target(consent).resource, result_id)
        except DatabaseUnavailable:
            raise
        except KeyrackError:
            await self._discard(consent, attempt, answer, asked_for, AttemptResult.refused, long_lived)
            raise
        return result_id

    async def _discard(
        self,
        consent: Consent,
        attempt: Attempt,
        answer: RawResponse | None,
        asked_for: ConsentDestination | None,
        fate: AttemptResult,
        tokens: TokenResponse | None = None,
    ) -> None:
        """Close an exchange whose tokens, if any came, are stored nowhere, and see to them; once, whoever tries."""
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            there = await TenantRows(unit).hold()
            closed = await Attempts(unit).settle(attempt.id, fate)
            if answer is None or (there and not closed):  # with the tenant its attempts are gone, which says nothing
                return

            def read(profile: ClientProfile) -> TokenResponse:
                return tokens or self._protocol(consent).tokens(consent, profile, answer, None)

            await self._target(consent).discard(unit, consent, asked_for, read)

    async def _exchange_again(
        self,
        consent: Consent,
        place: Location,
        who: Principal,
        answer: RawResponse,
        granted: Secret | None,
        answered_at: datetime,
    ) -> TokenResponse | None:
        """Check the ID token, where one was asked for, and get the long-lived token, where there are such tokens.

        Returns:
            The long-lived token for what the code brought (contract section 14), or None.

        Raises:
            ProviderError, ProviderUnavailable: the ID token is wrong, or there is no long-lived token.
        """
        if not consent.context.long_lived and consent.context.nonce is None:
            return None
        async with self._access.at(who, place, precheck=_COMPLETE) as scope:
            profile = (await self._revalidate(scope, consent)).profile
        short = self._protocol(consent).tokens(consent, profile, answer, granted)
        await self._id_tokens.check(consent, profile, short, answered_at)
        if not consent.context.long_lived:
            return None
        return await self._long_lived.exchange(profile, short, tenant_id=consent.tenant_id)

    async def _whose(
        self,
        consent: Consent,
        destination: ConsentDestination | None,
        long_lived: TokenResponse | None,
        answer: RawResponse,
        granted: Secret | None,
    ) -> Identified:
        """Return whose account was connected, as far as it can be told; never why not (decision 33)."""
        if destination is None:  # the exchange was interrupted, and nobody is waiting any more
            return Identified()
        try:
            brought = self._protocol(consent).tokens(consent, destination.profile, answer, granted)
        except KeyrackError:  # judged when it is stored
            return Identified()
        tokens = (
            brought if long_lived is None else replace(long_lived, members={**brought.members, **long_lived.members})
        )
        return await self._accounts.of(consent, destination.profile, tokens)

    async def _revalidate(self, scope: Scope, consent: Consent) -> ConsentDestination:
        scope.require_that(scope.in_workspace, "you are no longer a member of the workspace")
        target = self._target(consent)
        again = consent.credential_id is not None or consent.auth_secret_id is not None
        scope.require(target.permissions[1 if again else 0])
        return await target.revalidate(scope, consent)

    async def _fail(self, consent: Consent, place: Location, who: Principal, error: KeyrackError) -> None:
        async with self._store.unit(place.tenant_id, writes=True) as unit:
            if await TenantRows(unit).hold():  # else the consent is gone with it, and the key it would be sealed with
                await ConsentRows(unit).fail(consent.id, told_of(error), consent.context)
                await self._links.failed(unit, consent, error)
        await self._access.record(who, place, _COMPLETE, (TARGET, consent.id))

    async def _close(self, attempt: Attempt, fate: AttemptResult) -> None:
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            await Attempts(unit).settle(attempt.id, fate)

    def _protocol(self, consent: Consent) -> ConsentProtocol:
        return self._protocols[consent.context.protocol]

    def _target(self, consent: Consent) -> ConsentHandler:
        return self._targets.of(consent.auth_client_id)


def _require_bearer(tokens: TokenResponse) -> None:
    """Refuse tokens that could not be used (RFC 6749 section 7.1).

    Raises:
        ProviderError: they are of a type that needs more than the token.
    """
    kind = tokens.unsupported_type
    if kind is not None:
        raise ProviderError(
            f"The authorization server sent a token of the type {kind}, which can only be used with a key that Keyrack"
            " does not have; nothing was stored. Set the client to Bearer tokens at the provider."
        )
