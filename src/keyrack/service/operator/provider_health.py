"""Tells how every provider is doing: its grants, what became of refreshes lately, and its circuit in each process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.model.operations import AT_RISK, CircuitState, RefreshResult, RunningProcess
from keyrack.service.authz.access import Access
from keyrack.service.operator.grant_overview import GrantOverview, StateCounts
from keyrack.service.operator.permissions import require_operator
from keyrack.service.operator.refresh_history import ResultCounts
from keyrack.service.secrets.refresh.provider_limiter import Circuit
from keyrack.store.processes import Processes
from keyrack.store.refresh_counts import MINUTES, RefreshCounts

LATELY = timedelta(hours=1)
"""How far back refreshes are counted for a provider."""
_FAILED = frozenset(RefreshResult) - {RefreshResult.renewed}


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is doing.

    Attributes:
        origin: scheme, host and port; empty for what no provider refreshes.
        grants: by state.
        refreshes: of the last hour, by result.
        circuits: in the processes that call it or for which it fails.
    """

    origin: str
    grants: StateCounts
    refreshes: ResultCounts
    circuits: Sequence[tuple[RunningProcess, CircuitState]]

    @property
    def circuit(self) -> Circuit:
        """The worst of its circuits; one that no process tells of is closed."""
        told = {state.circuit for _, state in self.circuits}
        return next((each for each in (Circuit.open, Circuit.half_open) if each.value in told), Circuit.closed)

    @property
    def total(self) -> int:
        """All its grants."""
        return sum(self.grants.values())

    @property
    def in_error(self) -> int:
        """Grants whose callers are told `error`."""
        return sum(count for state, count in self.grants.items() if state.is_error)

    @property
    def at_risk(self) -> int:
        """Grants whose tokens are still valid, but are not being renewed."""
        return sum(self.grants.get(state, 0) for state in AT_RISK)

    @property
    def failed(self) -> int:
        """Refreshes of the last hour that brought no tokens."""
        return sum(self.refreshes.get(result, 0) for result in _FAILED)

    @property
    def refreshed(self) -> int:
        """Refreshes of the last hour that brought tokens."""
        return self.refreshes.get(RefreshResult.renewed, 0)


class ProviderHealth:
    """Providers of the whole installation."""

    def __init__(self, access: Access, grants: GrantOverview, clock: Clock) -> None:
        self._access = access
        self._grants = grants
        self._clock = clock

    async def list(self, who: Principal) -> Sequence[Provider]:
        """List every provider that has grants, was called lately or is told of by a process; the worst first.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        counts = await self._grants.counts(who)
        refreshes: dict[str, dict[RefreshResult, int]] = {}
        circuits: dict[str, list[tuple[RunningProcess, CircuitState]]] = {}
        async with self._access.installation(who) as scope:
            require_operator(scope)
            since = self._clock() - LATELY
            for origin, result, number in await RefreshCounts(scope.unit).by_origin(MINUTES, since):
                refreshes.setdefault(origin, {})[result] = number
            for process in await Processes(scope.unit).list():
                for state in () if process.is_silent else process.state.circuits:
                    circuits.setdefault(state.origin, []).append((process, state))
        found = [
            Provider(origin, counts.by_origin.get(origin, {}), refreshes.get(origin, {}), circuits.get(origin, []))
            for origin in counts.by_origin.keys() | refreshes.keys() | circuits.keys()
        ]
        return sorted(found, key=_worst_first)


_RANK: Mapping[Circuit, int] = {Circuit.open: 0, Circuit.half_open: 1, Circuit.closed: 2}


def _worst_first(provider: Provider) -> tuple[int, int, int, int, str]:
    troubled = provider.in_error + provider.at_risk
    return _RANK[provider.circuit], -provider.failed, -troubled, -provider.total, provider.origin
