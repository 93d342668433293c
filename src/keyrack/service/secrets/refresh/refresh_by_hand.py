"""Refreshes a secret for a reader or on request (contract 0.12, 15.3, 15.4)."""

import time
from datetime import datetime, timedelta

from keyrack.clock import Clock
from keyrack.errors import NotFound, ProviderError, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.oauth.lifetime import DEFAULT_LIFETIME
from keyrack.service.clients.auth_client_profile import client_profile, origin_of
from keyrack.service.secrets.refresh.awaiting_cutover import require_cut_over
from keyrack.service.secrets.refresh.lifetimes import believed, learned_from
from keyrack.service.secrets.refresh.outcome import error_of
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.refresher import Refresher
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store


def needs_nothing(secret: AuthSecret, schedule: Schedule, now: datetime) -> bool:
    """Tell whether a secret can be answered as it is stored, with nothing to do and no more to find out.

    So it is if its state is good and its token is not even due, or cannot be refreshed and is answered in any case; nor
    is anything done while it awaits its cutover.
    """
    if secret.state is not SecretState.ready:
        return False
    if secret.cutover_batch_id is not None:
        return True
    if not secret.refreshable or secret.expires_at is None or secret.issued_at is None:
        return not secret.refreshable or secret.expires_at is None
    return now < schedule.due(secret.issued_at, secret.expires_at)


class FreshTokens:
    """Keeps what is read fresh."""

    def __init__(
        self, store: Store, refresher: Refresher, limiter: ProviderLimiter, schedule: Schedule, clock: Clock
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._limiter = limiter
        self._schedule = schedule
        self._clock = clock

    async def before_read(self, secret: AuthSecret, min_validity: int | None) -> AuthSecret:
        """Return a secret as it is to be answered.

        A valid token is answered at once, and refreshed behind the scenes when it is due. For an expired one, or one
        that is not good for `min_validity` seconds, the refresh is waited for. If it fails, the stored secret is
        returned; its state tells the truth.

        Args:
            secret: as stored.
            min_validity: for how many seconds the token must still be good; None: it must only not have expired.
        """
        if not secret.refreshable or secret.expires_at is None or secret.issued_at is None:
            return secret
        if secret.cutover_batch_id is not None:
            return secret
        now = self._clock()
        enough = now + timedelta(seconds=min_validity or 0)
        # a provider may refuse what comes earlier than its profile says
        early = secret.failure is None and secret.due_at is not None and now < min(secret.due_at, secret.expires_at)
        due = now >= self._schedule.due(secret.issued_at, secret.expires_at) and not early
        # a token that cannot live that long need not be replaced by another that cannot
        hopeless = not due and enough - now > secret.expires_at - secret.issued_at
        if enough < secret.expires_at or hopeless:
            if due and self._is_worth_trying(secret, now):
                self._refresher.refresh_behind(secret)
            return secret
        if not self._is_worth_trying(secret, now) or await self._would_be_refused(secret):
            return secret
        try:
            return await self._refresher.refresh(secret)
        except (ProviderError, ProviderUnavailable):
            return await self._again(secret)

    async def refresh(self, secret: AuthSecret, arrived: float | None = None) -> AuthSecret:
        """Refresh because somebody asks for it: the token does not work, whatever its expiry says (contract 15.3).

        Whatever a provider answers to any refresh after the request arrived is the answer (contract 0.20).

        Args:
            secret: as stored.
            arrived: when the request came in, a reading of `time.monotonic`; None: now.

        Raises:
            NotRefreshable: it is not of an oauth2 type or has no refresh token.
            NotFound: it was deleted meanwhile.
            StateConflict: the import that brought it has not been cut over.
            ProviderError: the provider refused, or sent a token of a type that cannot be used, which is kept.
            ProviderUnavailable: it gave no answer in time, or asked to be left alone until later.
            DatabaseUnavailable: the database is gone.
        """
        require_cut_over(secret)
        now = self._clock()
        failure = secret.failure
        if failure is not None and failure.retry_after and secret.retry_at and now < secret.retry_at:
            raise error_of(failure)
        refreshed = await self._refresher.refresh_again(secret, time.monotonic() if arrived is None else arrived)
        if refreshed.error_code is ErrorCode.unsupported_token_type:
            raise ProviderError(refreshed.error or "")
        await self._learn(secret, refreshed, now)
        return refreshed

    @staticmethod
    def _is_worth_trying(secret: AuthSecret, now: datetime) -> bool:
        dead = secret.state is SecretState.error and secret.error_code is not None
        return not dead and (secret.retry_at is None or secret.retry_at <= now)

    async def _would_be_refused(self, secret: AuthSecret) -> bool:
        """Tell whether a try would not even reach the provider: a rejected client, or an open circuit.

        For the circuit only where the secret has failed before: its first failure has to be written down.
        """
        client = await self._client(secret)
        if client is None:
            return False
        if client.rejected_at is not None:
            return client.probe_at is None or client.probe_at > self._clock()
        endpoint = client_profile(client, secret.auth_method, secret.credentials).refresh_endpoint
        if secret.failure is None or endpoint is None:
            return False
        return self._limiter.is_refusing(secret.tenant_id, origin_of(endpoint))

    async def _client(self, secret: AuthSecret) -> AuthClient | None:
        async with self._store.unit(secret.tenant_id) as unit:
            return await find_usable(unit, secret.auth_client_id)

    async def _again(self, secret: AuthSecret) -> AuthSecret:
        async with self._store.unit(secret.tenant_id) as unit:
            found = await AuthSecrets(unit).find(secret.id)
        if found is None:
            raise NotFound
        return found

    async def _learn(self, before: AuthSecret, after: AuthSecret, asked_at: datetime) -> None:
        """Learn from a token that ended before we expected, where nobody says how long tokens live (contract 0.14)."""
        seconds = learned_from(before, after, self._schedule, asked_at)
        client = None if seconds is None else await self._client(before)
        if seconds is None or client is None:
            return
        if seconds <= (believed(client, asked_at) or DEFAULT_LIFETIME):
            async with self._store.unit(before.tenant_id, writes=True) as unit:
                await AuthClientHealth(unit.of_tenant(client.tenant_id)).learn(client.id, seconds)
