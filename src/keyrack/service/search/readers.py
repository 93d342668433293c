"""Says what something that was found is called, to whoever may see it: by the use case that shows it.

So nothing is found that its own page would not show, whatever the rules of that page are.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from keyrack.errors import NotFound
from keyrack.model.identity import Principal
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.oauth_clients import OAuthClients
from keyrack.service.components.components import Components
from keyrack.service.consents.connect_links import ConnectLinks
from keyrack.service.consents.start import ConsentStart
from keyrack.service.credentials.credentials import Credentials
from keyrack.service.flows.flows import Flows
from keyrack.service.identity.users import Users
from keyrack.service.secrets.secrets import Secrets
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.teams import Teams
from keyrack.service.tenancy.tenants import Tenants
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import Webhooks
from keyrack.store.search_index import Found

Reader = Callable[[Principal, Found], Awaitable[str]]
"""Takes the caller and what was found; returns what it is called.

Raises:
    NotFound, Forbidden: the caller may not see it.
"""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Those that show one thing each."""

    tenants: Tenants
    users: Users
    contracts: Contracts
    workspaces: Workspaces
    teams: Teams
    invites: Invites
    components: Components
    oauth_clients: OAuthClients
    auth_clients: AuthClients
    credentials: Credentials
    secrets: Secrets
    flows: Flows
    webhooks: Webhooks
    event_history: EventHistory
    consents: ConsentStart
    connect_links: ConnectLinks


class Readers:
    """A reader for each kind of thing.

    Args:
        use: the use cases that they ask.
    """

    def __init__(self, use: UseCases) -> None:
        self._use = use

    def by_kind(self) -> Mapping[str, Reader]:
        """Return the readers by what they read."""
        return {
            "tenant": self._tenant,
            "user": self._user,
            "contract": self._contract,
            "workspace": self._workspace,
            "team": self._team,
            "component": self._component,
            "oauth-client": self._oauth_client,
            "auth-client": self._auth_client,
            "credential": self._credential,
            "auth-secret": self._auth_secret,
            "flow": self._flow,
            "webhook": self._webhook,
            "event": self._event,
            "oauth-consent": self._consent,
            "connect-link": self._connect_link,
            "contract-invite": self._invite,
            "api-key": self._api_key,
        }

    async def _tenant(self, who: Principal, found: Found) -> str:
        return (await self._use.tenants.get(who, found.id)).name

    async def _user(self, who: Principal, found: Found) -> str:
        person = await self._use.users.get(who, found.id)
        return f"{person.first_name} {person.last_name} ({person.email})"

    async def _contract(self, who: Principal, found: Found) -> str:
        return (await self._use.contracts.get(who, found.id)).contract.name

    async def _workspace(self, who: Principal, found: Found) -> str:
        return (await self._use.workspaces.get(who, found.id)).workspace.name

    async def _team(self, who: Principal, found: Found) -> str:
        return (await self._use.teams.get(who, found.id)).name

    async def _component(self, who: Principal, found: Found) -> str:
        seen = await self._use.components.get(who, found.id)
        return f"{seen.team_name}/{seen.name}"

    async def _oauth_client(self, who: Principal, found: Found) -> str:
        view = await self._use.oauth_clients.get(who, found.tenant_id, found.id)
        return await self._component(who, Found("component", view.client.component_id, found.tenant_id))

    async def _auth_client(self, who: Principal, found: Found) -> str:
        return (await self._use.auth_clients.get(who, found.id, None)).client.name

    async def _credential(self, who: Principal, found: Found) -> str:
        return (await self._use.credentials.get(who, found.id)).credential.name

    async def _auth_secret(self, who: Principal, found: Found) -> str:
        return await self._use.secrets.name(who, found.parent_id or "", found.id)

    async def _flow(self, who: Principal, found: Found) -> str:
        return (await self._use.flows.get(who, found.id)).name

    async def _webhook(self, who: Principal, found: Found) -> str:
        hook = await self._use.webhooks.get(who, found.tenant_id, found.id)
        return hook.description or hook.id

    async def _event(self, who: Principal, found: Found) -> str:
        return (await self._use.event_history.event(who, found.tenant_id, found.id)).type.value

    async def _consent(self, who: Principal, found: Found) -> str:
        return (await self._use.consents.get(who, found.parent_id or "", found.id)).status.value

    async def _connect_link(self, who: Principal, found: Found) -> str:
        return (await self._use.connect_links.get(who, found.parent_id or "", found.id)).status.value

    async def _invite(self, who: Principal, found: Found) -> str:
        return (await self._use.invites.get(who, found.parent_id or "", found.id)).email

    async def _api_key(self, who: Principal, found: Found) -> str:
        if found.parent_id != who.id:
            raise NotFound
        keys, _ = await self._use.users.api_keys(who, limit=None, offset=0)
        return next((key.name for key in keys if key.id == found.id), found.id)
