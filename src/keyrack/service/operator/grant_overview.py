"""Counts the grants of all tenants by state and provider, and lists them, for the operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.model.operations import GrantState
from keyrack.model.secrets import SecretState
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_GRANTS, require_operator
from keyrack.service.operator.recent_answer import RecentAnswer
from keyrack.service.secrets.status import SecretStatus, current_status
from keyrack.store.core.store import Store
from keyrack.store.installation_grants import MOST, GrantFilter, InstallationGrants, ListedGrant

COUNTED_TO = MOST
"""How far a narrowed list is counted."""

StateCounts = Mapping[GrantState, int]


@dataclass(frozen=True, slots=True)
class GrantCounts:
    """How many grants there are.

    Attributes:
        by_state: in all; states that no grant is in are missing.
        by_origin: of each provider's origin; empty for grants that no provider refreshes.
        at: when they were counted.
    """

    by_state: StateCounts
    by_origin: Mapping[str, StateCounts]
    at: datetime

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_state.values())

    @property
    def in_error(self) -> int:
        """Those whose callers are told `error`."""
        return sum(count for state, count in self.by_state.items() if state.is_error)


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant of any tenant, without credentials, and what is true of it at this moment."""

    grant: ListedGrant
    status: SecretStatus

    @property
    def state(self) -> GrantState:
        """What it is counted as."""
        secret = self.grant.secret
        if self.status.state is SecretState.error:
            code = self.status.error_code
            return GrantState(code.value) if code and code.value in set(GrantState) else GrantState.other
        if secret.refreshable and self.grant.client.rejected_at is not None:
            return GrantState.paused
        return GrantState.failing if secret.refreshable and secret.failure is not None else GrantState.ready


class GrantOverview:
    """Grants of the whole installation.

    Args:
        store: all data.
        access: the way in.
        clock: the time.
    """

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._counts = RecentAnswer(self._counted)

    async def counts(self, who: Principal) -> GrantCounts:
        """Return how many grants there are, as of some seconds ago: counting reads the whole table.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
        return await self._counts.get()

    async def page(
        self,
        who: Principal,
        *,
        state: GrantState | None = None,
        origin: str | None = None,
        tenant_id: str | None = None,
        auth_client_id: str | None = None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[GrantView], int]:
        """List grants; return a page and how many there are, counted up to `COUNTED_TO`.

        Args:
            who: the caller.
            state: only those in a state.
            origin: only those of a provider; empty for those that none refreshes.
            tenant_id: only a tenant's.
            auth_client_id: only an auth client's.
            limit: how many at most.
            offset: how many to pass over.

        Raises:
            Forbidden: the caller may not watch the installation, or not see grants.
        """
        wanted = GrantFilter(state, origin, tenant_id, auth_client_id)
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_GRANTS)
            found, total = await InstallationGrants(scope.unit).page(wanted, limit=limit, offset=offset)
        return grant_views(found, self._clock()), total

    async def _counted(self) -> GrantCounts:
        at = self._clock()
        by_state: dict[GrantState, int] = {}
        by_origin: dict[str, dict[GrantState, int]] = {}
        async with self._store.installation() as unit:
            for origin, state, count in await InstallationGrants(unit).counts():
                by_state[state] = by_state.get(state, 0) + count
                of_origin = by_origin.setdefault(origin, {})
                of_origin[state] = of_origin.get(state, 0) + count
        return GrantCounts(by_state, by_origin, at)


def grant_views(found: Sequence[ListedGrant], now: datetime) -> Sequence[GrantView]:
    """Return grants with what is true of each."""
    return [GrantView(each, current_status(each.secret, each.client, now)) for each in found]
