"""Ends refreshes: has the outcome written (`settlements`), pauses and revives clients, gives up what was interrupted.

A secret is changed only where the fence of the lease still holds, in one transaction with its attempt and its events.
The client's health is written in transactions of its own: they lock the client and all its secrets, which one that
has locked a secret must not do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from keyrack import metrics, tracing
from keyrack.clock import Clock, iso
from keyrack.errors import NotFound, ProviderError, ProviderUnavailable
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.events import EventType
from keyrack.model.operations import RefreshResult
from keyrack.model.secrets import AuthSecret, ErrorCode
from keyrack.oauth.failure_classes import FailureClass, blames_client_alone, classify_failure
from keyrack.oauth.token_response import TokenResponse
from keyrack.provider.faults import may_have_been_sent
from keyrack.service.authz.access import ALLOWED
from keyrack.service.clients.auth_client_profile import (
    client_profile,
    final_errors,
    own_method,
    provider_origin,
    refresh_host,
    spends_refresh_tokens,
)
from keyrack.service.clients.connection_inputs import asked_inputs
from keyrack.service.secrets.refresh.outcome import RefreshOutcome, Result
from keyrack.service.secrets.refresh.refresh_counter import RefreshCounter, refresh_result
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.settlements import WORKER, Ended, Settlements, audit_end, facts_of
from keyrack.service.secrets.refresh.tokens import merged, without_grant
from keyrack.service.secrets.status import current_status
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_health import AuthClientHealth, RejectionResult
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.leases import Lease, LeaseLost, Leases
from keyrack.store.outbox import Outbox

_PROBE_AFTER = timedelta(minutes=1)

Orphaned = Callable[[Unit, AuthSecret, AuthClient], Awaitable[None]]
"""Takes care of tokens whose secret was deleted while they were on their way."""


class ClientChangedError(Exception):
    """The provider rejects a client as it was, and it was changed meanwhile; nothing was written."""


class Finalizer:
    """Ends refreshes."""

    def __init__(
        self,
        store: Store,
        settlements: Settlements,
        schedule: Schedule,
        orphaned: Orphaned,
        counter: RefreshCounter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._settlements = settlements
        self._schedule = schedule
        self._orphaned = orphaned
        self._counter = counter
        self._clock = clock

    async def settle(
        self,
        lease: Lease,
        client: AuthClient,
        attempt: Attempt,
        result: Result,
        at: datetime,
        *,
        came: float | None = None,
        scheduled: bool = False,
        may_ask: bool = False,
    ) -> AuthSecret:
        """Write the result of a request and end the lease.

        Args:
            lease: under which it was sent, or which took over from there.
            client: the client it was sent with.
            attempt: the journal's entry, if the request got that far.
            result: tokens, or why there are none.
            at: when the result was there.
            came: the same as a reading of `time.monotonic`, for those who asked before it; None if it came to another
                process, or too long ago to satisfy anybody.
            scheduled: the request was the background's own try.
            may_ask: the client as it is now can be asked with, if it was changed since it was rejected.

        Returns:
            The refreshed secret.

        Raises:
            ClientChangedError: it was changed, and `may_ask`.
            ProviderError, ProviderUnavailable: the result, if it is no token; it has been written down.
            NotFound: the secret was deleted meanwhile; what the provider sent is being revoked.
            LeaseLost: another process has taken over; nothing was written, an answer stays in the journal.
            DatabaseUnavailable: nothing was written; an answer stays in the journal.
        """
        try:
            return await self._write(lease, client, attempt, result, at, came, scheduled=scheduled, may_ask=may_ask)
        except LeaseLost:
            if isinstance(result, TokenResponse) and await self._bury(lease, client, attempt, result):
                raise NotFound from None
            raise

    async def _write(
        self,
        lease: Lease,
        client: AuthClient,
        attempt: Attempt,
        result: Result,
        at: datetime,
        came: float | None,
        *,
        scheduled: bool,
        may_ask: bool,
    ) -> AuthSecret:
        # Paused first: a crash between the two leaves the attempt to recovery, and nothing that nobody would try again.
        with tracing.span("commit the outcome", {"keyrack.attempt.id": attempt.id}) as span:
            rejection = await self._reject(lease, client, result)
            if may_ask and rejection is RejectionResult.changed:
                raise ClientChangedError
            ended = Ended(lease, client, attempt, result, at, came, scheduled, rejection)
            written = await self._settlements.write(ended)
            span.note({"keyrack.refresh.outcome": _called(written.outcome, result)})
        outcome = written.outcome
        if outcome.fate is None and (client.probe_at is not None or client.rejection is not None):
            await self._recovered(lease.tenant_id, client)
        interrupted = outcome.secret.error_code is ErrorCode.refresh_interrupted and written.before.error_code is None
        origin = provider_origin(client)
        metrics.refreshed(_called(outcome, result), origin, lease.tenant_id, interrupted=interrupted)
        self._counter.count(origin, refresh_result(outcome, result))
        if not isinstance(result, TokenResponse):
            raise result
        return outcome.secret

    async def _bury(self, lease: Lease, client: AuthClient, attempt: Attempt, tokens: TokenResponse) -> bool:
        """See to tokens whose secret is gone; False if it is not."""
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            if await AuthSecrets(unit).find(lease.secret_id) is not None:
                return False
            anew = attempt.kind is AttemptKind.grant
            before = without_grant(lease.secret.credentials) if anew else lease.secret.credentials
            orphan = replace(lease.secret, credentials=merged(before, tokens))
            await self._orphaned(unit, orphan, client)
            await Attempts(unit).settle(attempt.id, AttemptResult.superseded)
        return True

    async def give_up(self, lease: Lease, client: AuthClient, attempt: Attempt) -> None:
        """Note that nobody knows what became of a request; the lease goes on.

        Raises:
            LeaseLost, DatabaseUnavailable: as `settle`.
        """
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            current = await Leases(unit).current(lease)
            since = current.ambiguous_since or (attempt.started_at if spends_refresh_tokens(client) else None)
            await Leases(unit).keep(lease, replace(current, ambiguous_since=since))
            await Attempts(unit).settle(attempt.id, AttemptResult.ambiguous)
        origin = provider_origin(client)
        metrics.refreshed(AttemptResult.ambiguous.value, origin, lease.tenant_id)
        self._counter.count(origin, RefreshResult.unknown)

    async def expire(self, lease: Lease) -> AuthSecret:
        """Tell once that a token has expired which nothing can renew, and end the lease (contract 0.24).

        Its state needs nothing to be written: it is worked out from the time of expiry, see `status.current_status`.

        Returns:
            The secret as it is then; unchanged if it is not so.

        Raises:
            LeaseLost, DatabaseUnavailable: as `settle`.
        """
        now = self._clock()
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            current = await Leases(unit).current(lease)
            said = current_status(current, None, now)
            over = said.error_code is ErrorCode.token_expired
            early = current.expires_at is not None and now < current.expires_at
            ended = replace(current, due_at=current.expires_at if early else None)
            await Leases(unit).finish([(lease, ended)])
            if over:
                facts = facts_of(current, now) | {"error_code": ErrorCode.token_expired.value}
                await audit_end(unit, current.id)
                await Outbox(unit).add(EventType.secret_reauthorization_required, facts)
        return ended

    async def drop(self, attempt: Attempt, fate: AttemptResult) -> None:
        """Close an attempt that concerns nobody any more: its secret has other tokens by now, or is gone."""
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            await Attempts(unit).settle(attempt.id, fate)

    async def _reject(self, lease: Lease, client: AuthClient, result: Result) -> RejectionResult | None:
        """Pause a client that the provider rejects; None if it does not.

        Where the grant alone may be at fault, a tenant's own client is paused when a second grant meets the same, see
        `AuthClientHealth.suspect`.
        """
        if not isinstance(result, ProviderError):
            return None
        if classify_failure(result, refresh_host(client), final_errors(client)) is not FailureClass.CLIENT_REJECTED:
            return None
        # what members fill in may be what the provider does not know: another directory, or a host of their own
        certain = blames_client_alone(result) and not asked_inputs(client)
        of_all = client.tenant_id == INSTALLATION
        if of_all and not certain:
            return RejectionResult.doubted  # one tenant's grants must not pause all others'
        used = client_profile(client, lease.secret.auth_method).token_endpoint_auth_method
        if used is not own_method(client):
            return RejectionResult.doubted  # what a component's developer chose says nothing of the client
        said: Json = {"error": result.failure.error, "status": result.failure.status}
        if not of_all:  # nor are its provider's words shown to them
            said["error_description"] = result.failure.error_description
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            health = AuthClientHealth(unit.of_tenant(client.tenant_id))
            if not certain and await health.suspect(client, said, lease.secret):
                return RejectionResult.doubted
            verdict = await health.reject(client, said, self._clock() + _PROBE_AFTER)
            if verdict is RejectionResult.paused:
                await _audit(unit, client, "auth-client.pause")
                await self._tell(unit, EventType.client_failing, client, error=said["error"])
        return verdict

    async def _recovered(self, tenant_id: str, client: AuthClient) -> None:
        """Revive a client that works again; forget what was only suspected of it."""
        async with self._store.unit(tenant_id, writes=True) as unit:
            health = AuthClientHealth(unit.of_tenant(client.tenant_id))
            if client.probe_at is None:
                await health.clear(client.id)
                return
            if not await health.recovered(client):
                return
            if client.rejected_at is not None:  # else it was changed, which has revived its secrets
                await health.revive(client.id, self._schedule.lead)
            await _audit(unit, client, "auth-client.resume")
            await self._tell(unit, EventType.client_recovered, client)

    async def _tell(self, unit: Unit, kind: EventType, client: AuthClient, **more: object) -> None:
        """Tell of a client whoever has secrets of it: for a global one, these are many tenants."""
        everywhere = client.tenant_id == INSTALLATION
        told = await Directory(unit).tenants_with_secrets_of(client.id) if everywhere else [client.tenant_id]
        for tenant_id in told:
            facts = {"auth_client_id": client.id, "at": iso(self._clock()), **more}
            await Outbox(unit.of_tenant(tenant_id)).add(kind, facts)


async def _audit(unit: Unit, client: AuthClient, action: str) -> None:
    """Write down in the log of a client's owner that its grants are no longer refreshed, or are again."""
    log = AuditLog(unit.of_tenant(client.tenant_id))
    await log.append(WORKER, action, ("auth-client", client.id), ALLOWED)


def _called(outcome: RefreshOutcome, result: Result) -> str:
    """Return what a refresh's end is called among the metrics."""
    if outcome.fate is None:
        return "landed"
    if isinstance(result, ProviderUnavailable) and not may_have_been_sent(result):
        return AttemptResult.unsent.value
    return outcome.fate.value
