"""Tells the operator which dated rules of providers concern grants of all tenants, and how many."""

from collections.abc import Sequence

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.oauth.profiles.dated_rules import begins, is_told, rules_at_hosts
from keyrack.service.authz.access import Access
from keyrack.service.clients.provider_rules import ConcernedConnections, latest_first
from keyrack.service.operator.grant_overview import GrantOverview
from keyrack.service.operator.permissions import require_operator
from keyrack.service.operator.recent_answer import RecentAnswer
from keyrack.store.core.store import Store
from keyrack.store.installation_grants import InstallationGrants


class RuleOverview:
    """The catalogue's rules, beside the grants of the installation.

    Args:
        store: all data.
        access: the way in.
        grants: how many there are, by provider.
        clock: the time.
    """

    def __init__(self, store: Store, access: Access, grants: GrantOverview, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._grants = grants
        self._clock = clock
        self._recent = RecentAnswer(self._count)
        self._origins: frozenset[str] = frozenset()

    async def list(self, who: Principal) -> Sequence[ConcernedConnections]:
        """List the rules that concern grants, the latest first: in force, or within 90 days.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
        self._origins = frozenset((await self._grants.counts(who)).by_origin)
        return await self._recent.get()

    async def _count(self) -> Sequence[ConcernedConnections]:
        now, at_hosts = self._clock(), rules_at_hosts()
        async with self._store.installation() as unit:
            grants = InstallationGrants(unit)
            found = [
                ConcernedConnections(rule, await grants.made_before(origin, begins(rule), rule.scopes), provider)
                for origin in sorted(self._origins & at_hosts.keys())
                for rule, provider in at_hosts[origin].items()
                if is_told(rule, now)
            ]
        return latest_first(found)
