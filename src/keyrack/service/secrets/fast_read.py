"""Reads a fresh secret thousands of times a second, for a caller known to be allowed to see it.

What `Secrets.get` answers without `min_validity`, for the case in which there is nothing to look up but the secret.
All other cases are left to `Secrets.get`; who may read and what is fresh is decided by the same functions.
"""

import asyncio
from collections.abc import Callable

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.authz.access_counts import ActCounter
from keyrack.service.identity.last_use import LastUse
from keyrack.service.identity.principal_cache import PrincipalCache
from keyrack.service.secrets.freeze_watch import FreezeWatch
from keyrack.service.secrets.refresh.refresh_by_hand import needs_nothing
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.secrets import READ, TARGET, SecretView
from keyrack.service.secrets.status import current_status
from keyrack.store.secret_reader import SecretLocation, SecretReader

_WHOLE_TRUTH = frozenset({ErrorCode.token_expired, ErrorCode.awaiting_cutover})


class FastReads:
    """Reads fresh secrets between `open` and `close`, and nothing at other times."""

    def __init__(
        self,
        callers: PrincipalCache,
        points: SecretReader,
        schedule: Schedule,
        last_use: LastUse,
        counter: ActCounter,
        freezes: FreezeWatch,
        clock: Clock,
    ) -> None:
        self.callers = callers
        self._points = points
        self._schedule = schedule
        self._last_use = last_use
        self._counter = counter
        self._freezes = freezes
        self._clock = clock
        self.is_open = False
        self._shown: tuple[AuthSecret, SecretView | None] | None = None

    def open(self) -> None:
        """Begin."""
        self._points.open()
        self._freezes.start()
        self.is_open = True

    async def close(self) -> None:
        """Stop, and let go of all connections."""
        self.is_open = False
        await self._freezes.close()
        await self._points.close()

    async def find(self, who: Principal, address: str | None, workspace_id: str, secret_id: str) -> SecretView | None:
        """Return a fresh secret, or None: `Secrets.get` must be asked, also for the reason.

        Args:
            who: the caller, as `PrincipalCache.principal` returned it.
            address: where the request came from.
            workspace_id: where the secret is.
            secret_id: the secret.
        """
        tenant_id = await self.callers.tenant_to_read(who, workspace_id)
        if tenant_id is None:
            return None
        return self._view(who, address, await self._points.find(SecretLocation(tenant_id, workspace_id, secret_id)))

    def ask(
        self, who: Principal, address: str | None, place: SecretLocation, heard: Callable[[SecretView | None], None]
    ) -> None:
        """Have somebody told later what `find` returns, who may read there by `PrincipalCache.reader`."""
        self._points.ask(place, lambda secret: heard(self._view(who, address, secret)))

    def _view(self, who: Principal, address: str | None, secret: AuthSecret | None) -> SecretView | None:
        """Return what is shown of a secret, found out once for all who are told of it in the same turn."""
        if secret is None:
            return None
        if self._shown is None or self._shown[0] is not secret:
            asyncio.get_running_loop().call_soon(self._next_turn)
            self._shown = (secret, self._judged(secret))
        view = self._shown[1]
        if view is not None:
            self._last_use.note(secret.tenant_id, secret.id)
            self._counter.note(who, address, secret.tenant_id, READ, TARGET, secret.id)
        return view

    def _next_turn(self) -> None:
        self._shown = None

    def _judged(self, secret: AuthSecret) -> SecretView | None:
        now = self._clock()
        if not self._freezes.lets_through(secret) or not needs_nothing(secret, self._schedule, now):
            return None
        said = current_status(secret, None, now)
        # that a token expired which nothing can renew now is the whole truth, whatever the client's standing
        if said.state is not SecretState.ready and said.error_code not in _WHOLE_TRUTH:
            return None
        return SecretView(secret, said, credentials_visible=True)
