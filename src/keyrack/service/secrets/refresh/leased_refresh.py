"""Refreshes a secret under its lease: settles what was left, waits for a turn, sends, stores the outcome.

Steps 2 to 5 of `refresher`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyrack import metrics
from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import (
    DatabaseUnavailable,
    NotFound,
    ProviderError,
    ProviderFailure,
    ProviderUnavailable,
    ValidationFailed,
)
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.client_assertion import UnusableKeyError
from keyrack.oauth.direct_grants import MissingValueError, build_direct_request, secrets_sent
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.token_response import TokenResponse, process_token_response
from keyrack.oauth.wire import FormRequest, RawResponse
from keyrack.service.clients.auth_client_profile import client_profile, origin_of, provider_of
from keyrack.service.clients.live_secrets import secret_in_use
from keyrack.service.secrets.refresh.abandonment import Abandonment
from keyrack.service.secrets.refresh.finalizer import ClientChangedError, Finalizer
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.service.secrets.refresh.outcome import Result, is_ambiguous
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.repeatable_grants import asks_anew, may_ask_anew
from keyrack.service.secrets.refresh.secret_choice import (
    SecretChoice,
    SecretTrial,
    final_result,
    first_client,
    is_outdated,
    judge_trial,
)
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.auth_clients import find_usable, find_usable_among
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.leases import Due, Lease, LeaseLost, Leases

_SLACK = 10.0
_LONGEST_ROUND = 3.0
_LATER = timedelta(seconds=10)
_TOO_MANY = 429
BUSY = "busy"
"""The reason of a failure that says that somebody else is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take, in seconds.

    Attributes:
        call: one call to a provider, in all.
        wait: how long a caller waits for a refresh, its own or another's.
    """

    call: float = 10.0
    wait: float = 20.0

    @property
    def lease_ms(self) -> int:
        """A lease is longer than everything that is done under it (contract 0.12)."""
        return int((self.call + _SLACK) * 1000)


@dataclass(frozen=True, slots=True)
class LeasedSecret:
    """A lease with what is needed to use it."""

    lease: Lease
    client: AuthClient
    left_open: Sequence[Attempt]


class LeasedRefresh:
    """Uses leases."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        finalizer: Finalizer,
        limiter: ProviderLimiter,
        abandonment: Abandonment,
        choice: SecretChoice,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._journal = journal
        self._choice = choice
        self._finalizer = finalizer
        self._limiter = limiter
        self._abandonment = abandonment
        self._timing = timing
        self._clock = clock

    async def use(
        self, held: LeasedSecret, *, wanted: bool = True, scheduled: bool = False, trial: SecretTrial | None = None
    ) -> AuthSecret:
        """Use a lease. It ends with the outcome; after a fault, such as a database that is gone, by itself in time.

        Args:
            held: the lease.
            wanted: somebody wants other tokens than those stored; else they are only asked for where an interrupted
                refresh may have used the stored ones up.
            scheduled: it is the background's own try; only such failures make it back off.
            trial: the client's new secret is tried with this; it is told what comes of that.
        """
        try:
            return await self._through(held, wanted=wanted, scheduled=scheduled, trial=trial)
        except DatabaseUnavailable:
            self._abandonment.database_is_down()
            raise
        except LeaseLost:
            raise busy("Another process has taken over the refresh.") from None

    async def expire(self, lease: Lease) -> AuthSecret:
        """Settle that the token of a secret has expired which cannot be refreshed; the lease ends."""
        try:
            return await self._finalizer.expire(lease)
        except LeaseLost:
            raise busy("Another process has taken over the secret.") from None

    async def _through(
        self, held: LeasedSecret, *, wanted: bool, scheduled: bool, trial: SecretTrial | None
    ) -> AuthSecret:
        landed, given_up = await self._settle_left_open(held)
        if landed is not None:
            return landed
        if wanted or given_up:
            return await self._call(held, scheduled=scheduled, trial=trial)
        await self.release(held.lease)
        return held.lease.secret

    async def _settle_left_open(self, held: LeasedSecret) -> tuple[AuthSecret | None, bool]:
        """Settle what interrupted refreshes left: take answers that landed, give up those that nobody will bring.

        Returns:
            The secret, if an answer that had landed settles this refresh too, and whether an answer was given up.

        Raises:
            ProviderUnavailable: another process may still bring the answer; the lease is given back.
        """
        given_up = False
        if any(attempt.sealed_answer is None for attempt in held.left_open):
            await self._journal.bring_in()
        for left in held.left_open:
            async with self._store.unit(left.tenant_id) as unit:
                attempt = await Attempts(unit).find(left.id) or left
                answer = await self._journal.read(unit, attempt)
            if answer is None and attempt.kind is AttemptKind.grant:  # whatever became of it, it can be repeated
                await self._finalizer.drop(attempt, AttemptResult.ambiguous)
                given_up = True
                continue
            if answer is None and not self._abandonment.is_over(attempt):
                await self.release(held.lease, self._clock() + _LATER)
                raise busy("An interrupted refresh is being settled.")
            if attempt.generation != held.lease.secret.grant_generation:
                await self._finalizer.drop(attempt, AttemptResult.superseded)
            elif answer is None:
                await self._finalizer.give_up(held.lease, held.client, attempt)
                given_up = True
            else:
                at, result = attempt.answered_at or self._clock(), _interpret(answer, held)
                if self._may_ask_anew(held, attempt, result) or is_outdated(held.client, attempt, result):
                    await self._finalizer.drop(attempt, AttemptResult.refused)
                    given_up = True
                    continue
                return await self._finalizer.settle(held.lease, held.client, attempt, result, at), given_up
        return None, given_up

    async def _call(self, held: LeasedSecret, *, scheduled: bool, trial: SecretTrial | None) -> AuthSecret:
        """Ask the provider; once more if the answer was lost at once, since only the stored token can tell.

        Where it refuses the client, its other live secret is sent. Where it refuses a refresh token and the grant needs
        no person, that is asked for anew.
        """
        await self._refuse_if_rejected(held)
        started = time.monotonic()
        try:
            return await self._ask_and_settle(held, started, scheduled=scheduled, trial=trial)
        finally:
            metrics.refresh_took(time.monotonic() - started)

    async def _ask_and_settle(
        self, held: LeasedSecret, started: float, *, scheduled: bool, trial: SecretTrial | None, again: bool = False
    ) -> AuthSecret:
        anew = asks_anew(held.lease.secret, held.client)
        held = replace(held, client=first_client(held.client, trial))
        attempt, result = await self._ask(held, anew=anew)
        soon = time.monotonic() - started < min(_LONGEST_ROUND, self._timing.call / 2)
        if soon and not anew and held.lease.secret.ambiguous_since is None and _lost(result):
            await self._finalizer.give_up(held.lease, held.client, attempt)
            attempt, result = await self._ask(held)
        held, attempt, result, fell_back = await self._with_other_secrets(held, attempt, result, trial, anew=anew)
        if self._may_ask_anew(held, attempt, result):
            await self._finalizer.drop(attempt, AttemptResult.refused)
            attempt, result = await self._ask(held, anew=True)
        at, came = self._clock(), time.monotonic()
        ended, lease = (attempt, result, at), held.lease
        try:
            settled = await self._finalizer.settle(
                lease, held.client, *ended, came=came, scheduled=scheduled, may_ask=not again
            )
        except ClientChangedError:
            await self._finalizer.drop(attempt, AttemptResult.refused)
            held = replace(held, client=await self._choice.stored(lease.tenant_id, held.client))
            return await self._ask_and_settle(held, started, scheduled=scheduled, trial=trial, again=True)
        await self._choice.worked(held.lease.tenant_id, held.client, fell_back=fell_back)
        return settled

    async def _with_other_secrets(
        self, held: LeasedSecret, attempt: Attempt, result: Result, trial: SecretTrial | None, *, anew: bool
    ) -> tuple[LeasedSecret, Attempt, Result, bool]:
        """Send what other live secrets the client has, as long as it may be the client that is refused.

        Returns:
            The client, attempt and answer that count, and whether it is not the secret in use that brought tokens.
        """
        tenant_id, sent = held.lease.tenant_id, [(secret_in_use(held.client), result)]
        while (client := await self._choice.next(tenant_id, held.client, sent)) is not None:
            await self._finalizer.drop(attempt, AttemptResult.refused)
            held = replace(held, client=client)
            attempt, result = await self._ask(held, anew=anew)
            sent.append((secret_in_use(client), result))
        answers = dict(sent)
        if trial is not None:
            judge_trial(trial, answers, held.client)
        if len(answers) == 1:
            return held, attempt, result, False
        stored = await self._choice.stored(tenant_id, held.client)
        if isinstance(result, TokenResponse):
            return held, attempt, result, secret_in_use(held.client) != secret_in_use(stored)
        result, is_own = final_result(answers, result, stored)
        return (replace(held, client=stored) if is_own else held), attempt, result, False

    @staticmethod
    def _may_ask_anew(held: LeasedSecret, attempt: Attempt, result: Result) -> bool:
        """Tell whether a refused refresh token is no matter."""
        return attempt.kind is AttemptKind.refresh and may_ask_anew(held.lease.secret, held.client, result)

    async def _refuse_if_rejected(self, held: LeasedSecret) -> None:
        """Leave a provider alone that rejects the client, but for one explicit try now and then (contract 0.13)."""
        client = held.client
        if client.rejected_at is None or (client.probe_at is not None and client.probe_at <= self._clock()):
            return
        await self.release(held.lease, client.probe_at or self._clock() + _LATER)
        raise ProviderError("The provider rejects the auth client; change it first.", _kept(client.rejection or {}))

    async def _ask(self, held: LeasedSecret, *, anew: bool = False) -> tuple[Attempt, Result]:
        """Send one request: for a refresh, or for the grant anew."""
        lease = held.lease
        attempt = Attempt(
            id=new_id(),
            tenant_id=lease.tenant_id,
            kind=AttemptKind.grant if anew else AttemptKind.refresh,
            subject_id=lease.secret_id,
            fence=lease.fence,
            generation=lease.secret.grant_generation,
            owner=node_id(),
            started_at=self._clock(),
        )
        try:
            request = _request(held, anew=anew)
        except (MissingValueError, UnusableKeyError) as error:
            return attempt, ProviderError(f"The token request cannot be made: {error}.")
        try:
            async with self._limiter.admit(lease.tenant_id, origin_of(request.url)) as admission:
                try:
                    answer = await self._journal.exchange_under(
                        lease, self._timing.lease_ms, attempt, request, admission.call_over
                    )
                    result = _interpret(answer, held, request)
                except ProviderUnavailable:
                    admission.failed()
                    raise
                # a limit is one tenant's, not all's
                if isinstance(result, ProviderUnavailable) and result.failure.status != _TOO_MANY:
                    admission.failed()
                else:
                    admission.answered()
        except ProviderUnavailable as error:
            return attempt, error
        except ValidationFailed as error:
            return attempt, ProviderError(f"The refresh request cannot be sent: {error}")
        return attempt, result

    def limit_calls(self, places: Places) -> None:
        """Let tenants take no more places than they may make calls now."""
        self._limiter.limit_calls(places)

    async def release(self, lease: Lease | Due, due_at: datetime | None = None) -> None:
        """End a lease without a refresh.

        Args:
            lease: to be ended.
            due_at: when the background, if it refreshes the secret at all, is to look at it again; None: as it was.
        """
        scheduled = isinstance(lease, Lease) and lease.secret.due_at is not None
        later = {"due_at": due_at} if due_at is not None and scheduled else {}
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            await Leases(unit).release(lease, **later)


async def leased_with(unit: Unit, lease: Lease) -> LeasedSecret:
    """Return a lease with what is needed to use it.

    Raises:
        NotFound: the auth client is gone.
    """
    client = await find_usable(unit, lease.secret.auth_client_id)
    if client is None:
        raise NotFound
    return LeasedSecret(lease, client, await Attempts(unit).open_of([lease.secret_id]))


async def claimed_with(unit: Unit, dues: Sequence[Due]) -> Mapping[str, LeasedSecret]:
    """Return what is needed to use the leases of a tenant that were claimed together, by secret.

    Those whose lease was lost meanwhile, or whose auth client is gone or damaged, are missing.

    Raises:
        DecryptionFailed, WrongKey, ValueError: the credentials of one of them are damaged.
    """
    leases = await Leases(unit).claimed(dues)
    clients = await find_usable_among(unit, {lease.secret.auth_client_id for lease in leases.values()})
    left_open: dict[str, list[Attempt]] = {}
    for attempt in await Attempts(unit).open_of(list(leases)):
        left_open.setdefault(attempt.subject_id, []).append(attempt)
    return {
        secret_id: LeasedSecret(lease, client, left_open.get(secret_id, ()))
        for secret_id, lease in leases.items()
        if (client := clients.get(lease.secret.auth_client_id)) is not None and not client.damaged
    }


def _lost(result: Result) -> bool:
    """Tell whether a request was sent and nothing came back."""
    if not isinstance(result, ProviderUnavailable):
        return False
    return result.failure.status is None and not result.failure.received and is_ambiguous(result)


def _kept(rejection: Json) -> ProviderFailure:
    """Return what a provider said when it rejected a client, as `Finalizer` has kept it."""
    return ProviderFailure(
        status=rejection.get("status"),
        error=rejection.get("error"),
        error_description=rejection.get("error_description"),
        null_members=tuple(name for name, value in rejection.items() if value is None),
    )


def _request(held: LeasedSecret, *, anew: bool) -> FormRequest:
    """Return the request for a refresh, or for the grant anew.

    Raises:
        MissingValueError, UnusableKeyError: it cannot be made with what client and connection have.
    """
    secret = held.lease.secret
    profile = client_profile(held.client, secret.auth_method, secret.credentials)
    profile = replace(profile, proof_key=secret.dpop_key)
    if anew:
        return build_direct_request(profile, secret.requested_scopes)
    return build_refresh_request(
        profile,
        Secret(secret.credentials["refresh_token"]),
        scope=str(secret.credentials.get("scope") or ""),
        redirect_uri=secret.redirect_uri or "",
    )


def _interpret(answer: RawResponse, held: LeasedSecret, request: FormRequest | None = None) -> Result:
    secret, client = held.lease.secret.credentials, held.client
    tokens = (Secret(str(secret.get(name, ""))) for name in ("refresh_token", "access_token"))
    provider, sent = provider_of(client), [*tokens, Secret(str(client.credentials.get("client_secret", "")))]
    if provider is not None:
        sent += secrets_sent(client_profile(client, held.lease.secret.auth_method, secret), request)
    try:
        return process_token_response(answer, provider=provider, sent=sent)
    except (ProviderError, ProviderUnavailable) as error:
        return error


def busy(text: str) -> ProviderUnavailable:
    """Return the error that says that somebody else is at it."""
    return ProviderUnavailable(text, ProviderFailure(reason=BUSY))
