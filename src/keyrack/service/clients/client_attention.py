"""Gathers which clients of a tenant need attention: lacking, rejected by the provider, with a secret that ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

from keyrack.model.clients import AuthClientFilter, EndingOAuthClient, ListedAuthClient
from keyrack.model.components import ClientNeed, ComponentNeed
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_OAUTH_CLIENTS, LIST_COMPONENTS
from keyrack.service.clients.auth_client_authorization import GLOBAL, auth_client_permissions
from keyrack.service.clients.auth_client_overview import known_clients
from keyrack.service.clients.provider_rules import ConcernedConnections, concerned_in_tenant
from keyrack.service.clients.secret_expiry import REMINDER_DAYS
from keyrack.service.components.client_needs import named_components
from keyrack.store.client_needs import ComponentNeeds
from keyrack.store.oauth_clients import OAuthClientRows

T = TypeVar("T")

SOON = timedelta(days=max(REMINDER_DAYS))
"""How long before it ends a secret needs attention."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Some(Generic[T]):
    """The first of some things, and how many there are."""

    first: Sequence[T] = ()
    total: int = 0


@dataclass(frozen=True, slots=True)
class ClientAttention:
    """What somebody with permissions for clients should look at.

    Attributes:
        lacking: components that need an OAuth client, and the tenant has none for them.
        rejected: auth clients that their provider rejects.
        ending: auth clients whose secret has ended or ends soon.
        ending_oauth: OAuth clients whose secret has ended or ends soon.
        rules: dated rules of providers that concern connections, the latest first; for tenant admins.
        components: by id, the components of these, as far as the caller may see them.
    """

    lacking: Some[ComponentNeed] = field(default_factory=Some)
    rejected: Some[ListedAuthClient] = field(default_factory=Some)
    ending: Some[ListedAuthClient] = field(default_factory=Some)
    ending_oauth: Some[EndingOAuthClient] = field(default_factory=Some)
    components: Mapping[str, ComponentNeed] = field(default_factory=dict)
    rules: Some[ConcernedConnections] = field(default_factory=Some)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return any(each.total for each in (self.lacking, self.rejected, self.ending, self.ending_oauth, self.rules))


class ClientAttentionReader:
    """Reads what needs attention."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def of(self, who: Principal) -> ClientAttention:
        """Return what needs attention of the clients that the caller may get; the rest is left out."""
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                return await _of_auth_clients(scope, ClientAttention())
        async with self._access.tenant(who, who.tenant_id) as scope:
            found = await _of_auth_clients(scope, await _of_oauth_clients(scope))
            return replace(found, rules=await _of_rules(scope))


async def _of_rules(scope: Scope) -> Some[ConcernedConnections]:
    """Return the rules that concern connections of the tenant, whose number in all is for its admins."""
    if not scope.is_tenant_admin:
        return Some()
    rules = await concerned_in_tenant(scope.unit)
    return Some(rules[:_SHOWN], len(rules))


async def _of_oauth_clients(scope: Scope) -> ClientAttention:
    if not scope.allows(GET_OAUTH_CLIENTS):
        return ClientAttention()
    lacking: Some[ComponentNeed] = Some()
    if scope.allows(LIST_COMPONENTS):
        lacking = Some(*await ComponentNeeds(scope.unit).page((ClientNeed.lacking,), "", limit=_SHOWN, offset=0))
    ending = Some(*await OAuthClientRows(scope.unit).ends_first(scope.unit.clock() + SOON, limit=_SHOWN))
    components = await named_components(scope, [each.component_id for each in ending.first])
    return ClientAttention(lacking=lacking, ending_oauth=ending, components=components)


async def _of_auth_clients(scope: Scope, found: ClientAttention) -> ClientAttention:
    reach = await auth_client_permissions(scope)
    if not reach.knows(GLOBAL):
        return found
    soon = AuthClientFilter(secret_expires_before=scope.unit.clock() + SOON)
    rejected = await known_clients(scope, reach, AuthClientFilter(rejected=True), limit=_SHOWN, offset=0)
    ending = await known_clients(scope, reach, soon, limit=_SHOWN, offset=0)
    return ClientAttention(found.lacking, Some(*rejected), Some(*ending), found.ending_oauth, found.components)
