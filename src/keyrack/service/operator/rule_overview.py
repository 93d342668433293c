"""Tells the operator which dated rules of providers concern grants of all tenants, and how many."""

from collections.abc import Sequence

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.dated_rules import begins, is_told, rules_by_origin
from keyrack.service.authz.access import Access
from keyrack.service.clients.provider_rules import ConcernedConnections
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
        found: list[ConcernedConnections] = []
        now, by_origin = self._clock(), rules_by_origin()
        async with self._store.installation() as unit:
            grants = InstallationGrants(unit)
            for origin in sorted(self._origins & by_origin.keys()):
                told = {rule: name for name, rules in by_origin[origin].items() for rule in rules if is_told(rule, now)}
                for rule, name in told.items():
                    number = await grants.made_before(origin, begins(rule), rule.scopes)
                    found.append(ConcernedConnections(rule, number, catalogue()[name].title))
        concerned = [each for each in found if each.connections]
        return sorted(concerned, key=lambda each: each.rule.since, reverse=True)
