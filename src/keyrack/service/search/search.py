"""Finds whatever a caller may see, by an id or by the beginning of a name (decision 35)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyrack.errors import Forbidden, NotFound
from keyrack.ids import is_id
from keyrack.model.identity import Principal
from keyrack.service.audit.log import AuditTrail
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.access_counts import trying
from keyrack.service.authz.permissions import GET_TEAMS
from keyrack.service.authz.scope import contracts_granting
from keyrack.service.operator.permissions import sees_tenants
from keyrack.service.search.readers import Reader
from keyrack.service.tenancy.workspaces import LIST_ALL_WORKSPACES
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.search_index import Found, SearchIndex, SharedIndex
from keyrack.store.tenant_list import TenantList

LONGEST = 200
"""Characters of a question that count."""

IN_PLACES = (
    "tenant", "user", "contract", "workspace", "team", "component", "auth-client", "credential", "auth-secret", "flow",
    "webhook",
)  # fmt: skip
"""What is found by name, in the order in which it is shown; tenants by operators alone."""

_IN_WORKSPACES = frozenset({"flow", "credential", "auth-secret"})
_SHARED = frozenset({"component", "auth-client"})
_LAST = 253402300799000 - 86_400_000
"""Milliseconds of the last day that a time can be on."""

_TRIES = 3
"""So many are looked at for each that is shown: some the caller may not see."""

_REQUEST = timedelta(minutes=10)
"""How long a request may have taken whose id is looked for in the audit log; ids begin with their time."""


@dataclass(frozen=True, slots=True)
class Result:
    """Something that the caller may see.

    Attributes:
        found: what it is, and where.
        name: what it is called.
    """

    found: Found
    name: str


@dataclass(frozen=True, slots=True)
class Results:
    """What a question has found.

    Attributes:
        exact: what the id is of that was asked for.
        by_name: what was found by name, by kind, in the order of `IN_PLACES`.
        more: kinds of which there may be more than is shown.
    """

    exact: Sequence[Result]
    by_name: Mapping[str, Sequence[Result]]
    more: frozenset[str] = frozenset()

    @property
    def none(self) -> bool:
        """Whether nothing was found."""
        return not self.exact and not self.by_name


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a user may find something.

    Attributes:
        scope: at the user's tenant.
        tenant: its id.
        contracts: of which the user is a member.
        workspaces: the same.
        whole: contracts of which all workspaces are seen.
    """

    scope: Scope
    tenant: str
    contracts: Sequence[str]
    workspaces: Sequence[str]
    whole: Sequence[str]

    async def look(self, kind: str, text: str, limit: int) -> Sequence[Found]:
        """Return things of a kind that are found by name in the places where the user may see some."""
        index, scope = SearchIndex(self.scope.unit), self.scope
        if kind == "user" and not scope.allows("tenants.user.get"):
            return await index.users_of_contracts(self.contracts, text, limit)
        if kind == "contract" and not scope.is_tenant_admin:
            return await index.own(kind, self.contracts, text, limit)
        if kind == "workspace" and not scope.is_tenant_admin:
            own = await index.own(kind, self.workspaces, text, limit)
            return _each_once(own, await index.beginning(kind, self.whole, text, limit))
        return await index.beginning(kind, self._places(kind), text, limit)

    def _places(self, kind: str) -> Sequence[str]:
        if kind in _IN_WORKSPACES:
            return self.workspaces
        if kind == "team" and not self.scope.allows(GET_TEAMS):
            return self.contracts
        if kind == "component":
            return [self.tenant, *self.contracts]
        if kind == "auth-client":
            return [self.tenant, *self.contracts, *self.workspaces]
        return [self.tenant]


async def _home(scope: Scope, tenant_id: str) -> _Home:
    contracts, workspaces = dict[str, None](), list[str]()
    for held in await RoleAssignments(scope.unit).everywhere(scope.who.id):
        if held.place.workspace_id is not None:
            workspaces.append(held.place.workspace_id)
        elif held.place.contract_id is not None:
            contracts[held.place.contract_id] = None
    whole = await contracts_granting(scope, LIST_ALL_WORKSPACES)
    return _Home(scope, tenant_id, list(contracts), workspaces, sorted(whole))


def _each_once(*lists: Sequence[Found]) -> Sequence[Found]:
    return list({each.id: each for some in lists for each in some}.values())


class Search:
    """Search for everybody.

    Args:
        access: the way into every operation.
        read: shows one thing of each kind to whoever may see it.
        audit: the log, in which requests are found.
    """

    def __init__(self, access: Access, read: Mapping[str, Reader], audit: AuditTrail) -> None:
        self._access = access
        self._read = read
        self._audit = audit

    async def find(self, who: Principal, text: str, *, kinds: Sequence[str] = IN_PLACES, limit: int = 5) -> Results:
        """Return what a text is the id of, and what has a name in which a word begins so.

        Only what the use case that shows it would show this caller. A service account finds by id, what all tenants
        share, and, if it may watch the installation and see tenants, these by a part of their names.

        Args:
            who: the caller.
            text: as it was typed or pasted.
            kinds: of which things by name.
            limit: how many of each kind at most.
        """
        text = text.strip()[:LONGEST]
        exact = await self._exact(who, text.lower())
        by_name, more = {}, set()
        for kind, candidates in (await self._candidates(who, text, kinds, limit * _TRIES)).items():
            shown: list[Result] = []
            for found in candidates:
                result = await self._seen(who, found)
                if result is not None and len(shown) < limit:
                    shown.append(result)
                elif result is not None:
                    more.add(kind)
                    break
            if shown:
                by_name[kind] = shown
        return Results(exact, by_name, frozenset(more))

    async def _exact(self, who: Principal, text: str) -> Sequence[Result]:
        if not is_id(text):
            return []
        async with self._access.installation(who) as scope:
            found = await SharedIndex(scope.unit).of_id(text)
        results = [await self._seen(who, each) for each in found]
        return [each for each in (*results, await self._request(who, text)) if each is not None]

    async def _request(self, who: Principal, request_id: str) -> Result | None:
        """Return the request with an id if the audit log of the caller's tenant has it."""
        ms = int(request_id[:12], 16)
        if who.tenant_id is None or ms > _LAST:
            return None
        began = datetime.fromtimestamp(ms / 1000, UTC)
        since, until = began - timedelta(seconds=1), began + _REQUEST
        try:
            events, _ = await self._audit.page(who, who.tenant_id, {"request_id": request_id}, since, until, limit=1)
        except Forbidden:
            return None
        return Result(Found("request", request_id, who.tenant_id), events[0].action) if events else None

    async def _candidates(
        self, who: Principal, text: str, kinds: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[Found]]:
        """Return what is found by name where the caller may look; whether it is seen is judged one by one."""
        found: dict[str, list[Found]] = {kind: [] for kind in kinds}
        async with self._access.installation(who) as scope:
            for kind in set(kinds).intersection(_SHARED):
                found[kind] += await SharedIndex(scope.unit).beginning(kind, text, limit)
            if "tenant" in kinds and text and sees_tenants(scope):
                named = await TenantList(scope.unit).named(text, limit=limit)
                found["tenant"] = [Found("tenant", each, each) for each in named]
        if who.tenant_id is None:
            return found
        async with self._access.tenant(who, who.tenant_id) as scope:
            home = await _home(scope, who.tenant_id)
            for kind in (each for each in kinds if each != "tenant"):
                own = [each for each in await home.look(kind, text, limit) if each not in found[kind]]
                found[kind] = own + found[kind]
        return found

    async def _seen(self, who: Principal, found: Found) -> Result | None:
        if who.tenant_id is not None and found.tenant_id not in ("", who.tenant_id) and found.kind != "component":
            return None
        try:
            with trying():
                return Result(found, await self._read[found.kind](who, found))
        except (NotFound, Forbidden):
            return None
