"""Turns a provider's answer into what a consent makes, or ends the consent: once in the whole installation.

No transaction is open while the provider is called (design, invariant 3). What is said to the provider is each
protocol's own: `protocols`. What becomes of the tokens is each generation's: `credential_handler` and `secret_handler`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
from keyrack.service.clients.live_secrets import second_after
from keyrack.service.consents.connect_outcome import ConnectOutcomes
from keyrack.service.consents.failure_text import told_of
from keyrack.service.consents.id_tokens import IdTokens
from keyrack.service.consents.long_lived_tokens import LongLivedTokens
from keyrack.service.consents.protocols import ConsentProtocol, consent_protocols
from keyrack.service.consents.provider_accounts import Identified, ProviderAccounts
from keyrack.service.consents.values import TARGET, ConsentDestination, ConsentHandler, ConsentHandlers
from keyrack.service.secrets.refresh.journal import Journal, Permit, nothing_to_check
from keyrack.service.secrets.refresh.outcome import is_ambiguous
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.consents import ConsentRows
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Location
from keyrack.store.tenants import TenantRows

COMPLETE = "consent.complete"
"""The operation, in the audit log."""

_INTERRUPTED = "Connecting was interrupted before the provider's answer reached us. Start again."


class ConsentCompletion:
    """What happens once a provider has been asked for tokens.

    Args:
        store: where consents are.
        access: the way into every operation.
        journal: sends token requests.
        long_lived: what is asked for afterwards where the first token is a short-lived one.
        targets: where the tokens go.
        id_tokens: checks ID tokens.
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
        id_tokens: IdTokens,
        accounts: ProviderAccounts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._journal = journal
        self._long_lived = long_lived
        self._targets = targets
        self._id_tokens = id_tokens
        self._accounts = accounts
        self._protocols = consent_protocols(clock)
        self._clock = clock
        self.links = ConnectOutcomes(targets)
        self._finishing: set[str] = set()

    @contextmanager
    def finishing(self, consent: Consent) -> Iterator[None]:
        """Note that this process is in the middle of finishing a consent, so that recovery leaves it alone."""
        self._finishing.add(consent.id)
        try:
            yield
        finally:
            self._finishing.discard(consent.id)

    def is_finishing(self, consent_id: str) -> bool:
        """Tell whether this process is in the middle of finishing a consent."""
        return consent_id in self._finishing

    async def answer_of(self, attempt: Attempt) -> tuple[Attempt | None, RawResponse | None]:
        """Return an attempt as it is now, None if it is open no more, and its answer, if that came."""
        async with self._store.unit(attempt.tenant_id) as unit:
            kept = await Attempts(unit).find(attempt.id)
            return kept, None if kept is None else await self._journal.read(unit, kept)

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
        kept, answer = await self.answer_of(attempt)
        if kept is None:
            return True
        if consent is None:
            await self.close(attempt, AttemptResult.superseded)
            return True
        if consent.status is not ConsentStatus.exchanging:
            await self._discard(consent, kept, answer, None, AttemptResult.superseded)
            return True
        async with self._store.installation() as unit:
            place = await Directory(unit).workspace(consent.workspace_id)
        if place is None:
            return False
        who = await self.person(consent, None, None)
        try:
            if answer is None:
                await self.close(attempt, AttemptResult.ambiguous)
                raise ProviderUnavailable(_INTERRUPTED)
            await self.complete(consent, place, who, kept, answer, await self._destination_now(consent, place, who))
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            await self.fail(consent, place, who, error)
        return True

    async def person(self, consent: Consent, address: str | None, request_id: str | None) -> Principal:
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

    async def destination(self, consent: Consent, place: Location, who: Principal) -> ConsentDestination:
        """Return where a consent's tokens go.

        Membership, visibility and client may have changed since the start (contract 0.17), or the contract been
        suspended: that is told before anything is used up.

        Raises:
            KeyrackError: the consent may not be finished any more.
        """
        async with self._access.at(who, place, precheck=COMPLETE) as scope:
            destination = await self._revalidate(scope, consent)
            await self.links.require_current(scope.unit, consent)
        return destination

    async def _destination_now(self, consent: Consent, place: Location, who: Principal) -> ConsentDestination | None:
        """Return where an interrupted consent's tokens go; None: nowhere any more, which is told as they are stored."""
        try:
            return await self.destination(consent, place, who)
        except DatabaseUnavailable:
            raise
        except KeyrackError:
            return None

    def read(
        self, consent: Consent, destination: ConsentDestination, answer: RawResponse, granted: Secret
    ) -> TokenResponse:
        """Return the tokens that an answer brings.

        Raises:
            ProviderError, ProviderUnavailable: there are none in it.
        """
        return self._protocol(consent).tokens(consent, destination.profile, answer, granted)

    async def ask(
        self,
        consent: Consent,
        place: Location,
        who: Principal,
        granted: Secret,
        kind: AttemptKind = AttemptKind.code,
        permit: Permit = nothing_to_check,
    ) -> tuple[Attempt, RawResponse, ConsentDestination]:
        """Ask the provider for tokens, through the journal, if the consent may still be finished.

        Args:
            consent: what they are for.
            place: where it is.
            who: whose consent it is, as the caller who finishes it.
            granted: what the protocol exchanges, such as a code.
            kind: of the attempt.
            permit: the last check, in the transaction of the intent.

        Returns:
            The attempt, which is open; the answer, which is stored; where the tokens were meant to go then.

        Raises:
            KeyrackError: the consent may not be finished any more, or nothing came back.
        """
        destination = await self.destination(consent, place, who)
        profile = destination.profile
        attempt, answer = await self._exchanged(consent, profile, granted, kind, permit)
        second = None if profile.second is None else self._other(consent, profile, answer, granted)
        if second is not None:  # the client was refused, so that what is granted was not looked at
            await self.close(attempt, AttemptResult.refused)
            attempt, answer = await self._exchanged(consent, second, granted, kind, permit)
        return attempt, answer, destination

    async def _exchanged(
        self, consent: Consent, profile: ClientProfile, granted: Secret, kind: AttemptKind, permit: Permit
    ) -> tuple[Attempt, RawResponse]:
        request = self._protocol(consent).request(consent, profile, granted)
        attempt = Attempt(new_id(), consent.tenant_id, kind, consent.id, 0, 0, node_id(), self._clock())
        try:
            return attempt, await self._journal.exchange(attempt, request, permit)
        except ProviderUnavailable as error:
            await self.close(attempt, AttemptResult.ambiguous if is_ambiguous(error) else AttemptResult.unsent)
            raise

    def _other(
        self, consent: Consent, profile: ClientProfile, answer: RawResponse, granted: Secret
    ) -> ClientProfile | None:
        """Return the client with its other live secret, if it is the client that was refused."""
        try:
            self._protocol(consent).tokens(consent, profile, answer, granted)
        except ProviderError as error:
            return second_after(profile, error)
        except KeyrackError:
            return None
        return None

    async def complete(
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
            async with self._access.at(who, place, COMPLETE) as scope:
                await ConsentRows(scope.unit).hold(consent.id)
                destination = await self._revalidate(scope, consent)
                tokens = long_lived or self._protocol(consent).tokens(consent, destination.profile, answer, granted)
                _require_usable(tokens)
                result_id = await destination.store(scope, tokens, at, whose)
                await ConsentRows(scope.unit).complete(consent.id, result_id, consent.context)
                await self.links.connected(scope.unit, consent, result_id)
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
        async with self._access.at(who, place, precheck=COMPLETE) as scope:
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
        if destination is None:  # they will be stored nowhere
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

    async def fail(
        self, consent: Consent, place: Location, who: Principal, error: KeyrackError, *, ends_link: bool = True
    ) -> None:
        """End a consent that has made nothing, and say why.

        Args:
            consent: as it was read; it must not be over.
            place: where it is.
            who: whose it is.
            error: why.
            ends_link: whether its connect link, if it has one, is used up too.
        """
        async with self._store.unit(place.tenant_id, writes=True) as unit:
            if await TenantRows(unit).hold():  # else the consent is gone with it, and the key it would be sealed with
                rows = ConsentRows(unit)
                if await rows.fail(consent.id, told_of(error), consent.context, consent.status) and ends_link:
                    await self.links.failed(unit, consent, error)
        await self._access.record(who, place, COMPLETE, (TARGET, consent.id))

    async def close(self, attempt: Attempt, fate: AttemptResult) -> None:
        """Note what became of an attempt that brought nothing."""
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            await Attempts(unit).settle(attempt.id, fate)

    def _protocol(self, consent: Consent) -> ConsentProtocol:
        return self._protocols[consent.context.protocol]

    def _target(self, consent: Consent) -> ConsentHandler:
        return self._targets.of(consent.auth_client_id)


def _require_usable(tokens: TokenResponse) -> None:
    """Refuse tokens that could not be used, or by anybody (RFC 6749 section 7.1, RFC 9449 section 5).

    Raises:
        ProviderError: they are of a type that needs more than the token, or are not bound as they should be.
    """
    if tokens.unusable is not None:
        raise ProviderError(f"The authorization server {tokens.unusable}; nothing was stored.")
