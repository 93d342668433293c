"""Tells what hangs on an auth client, as far as the caller may know: connections, open consents, flows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keyrack.model.flows import Reference
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_reading import seen_at_its_scope
from keyrack.service.clients.provider_rules import ConcernedConnections, concerned_connections
from keyrack.store.auth_client_usage import MOST, AuthClientUsages, UsingWorkspace
from keyrack.store.directory import Directory
from keyrack.store.flow_list import FlowList
from keyrack.store.usage import Usages

_NAMED = 25
"""How many workspaces are named."""


@dataclass(frozen=True, slots=True)
class AuthClientUsage:
    """The blast radius of an auth client; of a global one, in the caller's tenant.

    Attributes:
        secrets: how many connections use it, up to `MOST`; all numbers are of these.
        are_more: whether there are more connections than that.
        broken: how many of them are in `error`.
        workspaces: how many workspaces they are in.
        users: how many users have them.
        named: those of the workspaces that the caller may know of, those with most connections first.
        open_consents: how many consents have been begun with it and can still be finished.
        flows: how many flows use them.
        known_flows: a page of those that the caller may know of.
        known_flow_total: how many these are, of those that have what is looked for in their names or descriptions.
        rules: dated rules of the provider that concern connections, with how many.
    """

    secrets: int = 0
    are_more: bool = False
    broken: int = 0
    workspaces: int = 0
    users: int = 0
    named: Sequence[UsingWorkspace] = ()
    open_consents: int = 0
    flows: int = 0
    known_flows: Sequence[Reference] = ()
    known_flow_total: int = 0
    rules: Sequence[ConcernedConnections] = ()

    @property
    def is_used(self) -> bool:
        """Whether it cannot be deleted, as connections use it (contract 14.3)."""
        return self.secrets > 0


class AuthClientUsageReader:
    """Reads what hangs on auth clients."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def of(
        self, who: Principal, auth_client_id: str, *, limit: int, offset: int, search: str = ""
    ) -> AuthClientUsage:
        """Return what hangs on a client, to who may get it at its own scope, with a page of the flows.

        Who belongs to no tenant learns of a global client only how many connections there are.

        Args:
            who: the caller.
            auth_client_id: the client.
            limit: how many flows at most.
            offset: how many of them to pass over.
            search: what the name or the description of a flow must have in it; empty for all.

        Raises:
            NotFound: there is none, or the caller cannot see it at its own scope.
        """
        async with seen_at_its_scope(self._access, who, auth_client_id) as (scope, _, client):
            tenant_id = who.tenant_id or client.tenant_id
            if not tenant_id:
                total = await Directory(scope.unit).secrets_attached(auth_client_id)
                return AuthClientUsage(secrets=total)
        async with self._access.tenant(who, tenant_id) as scope:
            found = await _usage(scope, auth_client_id, limit, offset, search)
            return replace(found, rules=await concerned_connections(scope.unit, client))


async def _usage(scope: Scope, auth_client_id: str, limit: int, offset: int, search: str) -> AuthClientUsage:
    usages = AuthClientUsages(scope.unit)
    workspaces = await usages.workspaces(auth_client_id)
    everything = scope.is_tenant_admin or scope.who.tenant_id is None
    named = workspaces
    if not everything:
        mine = await Usages(scope.unit).workspaces_of(scope.who.id)
        named = [each for each in workspaces if each.id in mine]
    user = None if everything else scope.who.id
    flows = FlowList(scope.unit)
    known, known_total = await flows.using_client(auth_client_id, user, limit=limit, offset=offset, search=search)
    secrets = sum(each.secrets for each in workspaces)
    return AuthClientUsage(
        secrets=secrets,
        are_more=secrets >= MOST,
        broken=sum(each.broken for each in workspaces),
        workspaces=len(workspaces),
        users=await usages.users(auth_client_id),
        named=named[:_NAMED],
        open_consents=await usages.open_consents(auth_client_id),
        flows=known_total if everything and not search else await flows.count_using_client(auth_client_id),
        known_flows=known,
        known_flow_total=known_total,
    )
