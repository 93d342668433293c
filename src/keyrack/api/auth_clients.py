"""`/v2/auth-clients` and its older spelling below a tenant (contract section 14)."""

from functools import partial
from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from keyrack.api.auth_client_documents import (
    AuthClientResource,
    ChangeAuthClientBody,
    CreateAuthClientBody,
    ScopeOnlyBody,
    auth_client_resource,
)
from keyrack.api.auth_client_usage import FLOWS, AuthClientUsageResource, auth_client_usage_resource
from keyrack.api.client_secret_expiry import SecretExpiresBefore, wanted_clients
from keyrack.api.core.body import UnvalidatedBody, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, Page, Single
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.clients import ClientFilter
from keyrack.model.identity import Principal
from keyrack.service.clients.auth_client_usage import AuthClientUsageReader
from keyrack.service.clients.auth_client_values import ChangedAuthClient, NamedScope, ScopeKind
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.validation.unvalidated import Unvalidated

WorkspaceId = Annotated[str | None, QueryParameter(name="workspace_id", description="As a workspace sees it.")]
ContractId = Annotated[str | None, QueryParameter(name="contract_id", description="As a contract sees it.")]
TenantId = Annotated[str | None, QueryParameter(name="tenant_id", description="As a tenant sees it.")]
ComponentId = Annotated[
    str | None, QueryParameter(name="filter[component]", description="Only those linked to a component.")
]


class AuthClientController(Controller):
    """Auth clients of all scopes."""

    path = "/v2/auth-clients"
    tags = ("Auth clients",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        auth_clients: NamedDependency[AuthClients],
        page: WantedPage,
        workspace_id: WorkspaceId = None,
        contract_id: ContractId = None,
        tenant_id: TenantId = None,
        component_id: ComponentId = None,
        secret_expires_before: SecretExpiresBefore = None,
    ) -> Many[AuthClientResource]:
        """List the auth clients that can be used at a scope; without one the global ones (14.1)."""
        asked = _asked(tenant_id, contract_id, workspace_id)
        return await _list(auth_clients, who, asked, wanted_clients(component_id, secret_expires_before), page)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self, data: Body[CreateAuthClientBody], who: Who, auth_clients: NamedDependency[AuthClients]
    ) -> Single[AuthClientResource]:
        """Create an auth client; without a scope relationship a global one (14.2)."""
        made = await auth_clients.create(
            who, Unvalidated(lambda: _scope(data)), data.then(CreateAuthClientBody.command)
        )
        return Single(auth_client_resource(made))

    @get("/{auth_client_id:str}", responses=Refusals.of(400, 403, 404, 409))
    async def retrieve(
        self,
        auth_client_id: PATH_ID,
        who: Who,
        auth_clients: NamedDependency[AuthClients],
        workspace_id: WorkspaceId = None,
        contract_id: ContractId = None,
        tenant_id: TenantId = None,
    ) -> Single[AuthClientResource]:
        """Return one auth client as a scope sees it; without one as its own scope does (14.1, 0.10)."""
        asked = _asked(tenant_id, contract_id, workspace_id)
        return Single(auth_client_resource(await auth_clients.get(who, auth_client_id, asked)))

    @patch("/{auth_client_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        auth_client_id: PATH_ID,
        data: Body[ChangeAuthClientBody],
        who: Who,
        auth_clients: NamedDependency[AuthClients],
    ) -> Single[AuthClientResource]:
        """Change an auth client; its id, URIs, type and scope are fixed (14.3)."""
        return Single(
            auth_client_resource(await auth_clients.change(who, auth_client_id, _change(data, auth_client_id)))
        )

    @delete("/{auth_client_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, auth_client_id: PATH_ID, who: Who, auth_clients: NamedDependency[AuthClients]) -> None:
        """Delete an auth client that no secret is attached to (14.3)."""
        await auth_clients.delete(who, auth_client_id)

    @get("/{auth_client_id:str}/usage", responses=Refusals.of(403, 404))
    async def usage(
        self, auth_client_id: PATH_ID, who: Who, auth_client_usage: NamedDependency[AuthClientUsageReader]
    ) -> Single[AuthClientUsageResource]:
        """Return what hangs on an auth client: its blast radius (extension, 0.15)."""
        usage = await auth_client_usage.of(who, auth_client_id, limit=FLOWS, offset=0)
        return Single(auth_client_usage_resource(auth_client_id, usage))


class TenantAuthClientController(Controller):
    """The older routes: the same, with the tenant of the path as scope."""

    path = "/v2/tenants/{tenant_id:str}/auth-clients"
    tags = ("Auth clients",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        tenant_id: PATH_ID,
        who: Who,
        auth_clients: NamedDependency[AuthClients],
        page: WantedPage,
        component_id: ComponentId = None,
        secret_expires_before: SecretExpiresBefore = None,
    ) -> Many[AuthClientResource]:
        """List the auth clients that a tenant can use: its own and global ones (14.3)."""
        wanted = wanted_clients(component_id, secret_expires_before)
        return await _list(auth_clients, who, _tenant(tenant_id), wanted, page)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self,
        tenant_id: PATH_ID,
        data: Body[CreateAuthClientBody],
        who: Who,
        auth_clients: NamedDependency[AuthClients],
    ) -> Single[AuthClientResource]:
        """Create an auth client of a tenant (14.3)."""
        new = data.then(CreateAuthClientBody.command)
        made = await auth_clients.create(who, Unvalidated(lambda: _scope(data)), new, within=_tenant(tenant_id))
        return Single(auth_client_resource(made))

    @get("/{auth_client_id:str}", responses=Refusals.of(403, 404, 409))
    async def retrieve(
        self, tenant_id: PATH_ID, auth_client_id: PATH_ID, who: Who, auth_clients: NamedDependency[AuthClients]
    ) -> Single[AuthClientResource]:
        """Return an auth client as a tenant sees it (14.3)."""
        return Single(auth_client_resource(await auth_clients.get(who, auth_client_id, _tenant(tenant_id))))

    @patch("/{auth_client_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        tenant_id: PATH_ID,
        auth_client_id: PATH_ID,
        data: Body[ChangeAuthClientBody],
        who: Who,
        auth_clients: NamedDependency[AuthClients],
    ) -> Single[AuthClientResource]:
        """Change an auth client that a tenant can use (14.3)."""
        new = _change(data, auth_client_id)
        return Single(auth_client_resource(await auth_clients.change(who, auth_client_id, new, _tenant(tenant_id))))

    @delete("/{auth_client_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(
        self, tenant_id: PATH_ID, auth_client_id: PATH_ID, who: Who, auth_clients: NamedDependency[AuthClients]
    ) -> None:
        """Delete an auth client that a tenant can use and no secret is attached to (14.3)."""
        await auth_clients.delete(who, auth_client_id, _tenant(tenant_id))


async def _list(
    auth_clients: AuthClients, who: Principal, asked: NamedScope | None, wanted: ClientFilter, page: Page
) -> Many[AuthClientResource]:
    read = partial(auth_clients.list, who, asked, wanted)
    return await read_list(page, read, auth_client_resource, key=lambda view: view.client.id, whole=auth_clients.whole)


def _asked(tenant_id: str | None, contract_id: str | None, workspace_id: str | None) -> NamedScope | None:
    """Return the scope that the query names.

    Raises:
        ValidationFailed: it names two or more (14.1).
    """
    given = {ScopeKind.tenant: tenant_id, ScopeKind.contract: contract_id, ScopeKind.workspace: workspace_id}
    named = [NamedScope(kind, value) for kind, value in given.items() if value is not None]
    if len(named) > 1:
        problem = "only one of workspace_id, contract_id and tenant_id can be given"
        raise ValidationFailed(*(Problem(problem, parameter=f"{each.kind.value}_id") for each in named))
    return named[0] if named else None


def _scope(data: UnvalidatedBody[CreateAuthClientBody]) -> NamedScope | None:
    """Return the scope that a body names.

    Raises:
        ValidationFailed: that part of the body is wrong; then with everything else that is wrong with it.
    """
    try:
        return data.validated_as(ScopeOnlyBody).only()
    except ValidationFailed:
        data.validated()
        raise


def _change(data: UnvalidatedBody[ChangeAuthClientBody], auth_client_id: str) -> Unvalidated[ChangedAuthClient]:
    def changed(body: ChangeAuthClientBody) -> ChangedAuthClient:
        require_id(body.data.id, auth_client_id)
        return body.command()

    return data.then(changed)


def _tenant(tenant_id: str) -> NamedScope:
    return NamedScope(ScopeKind.tenant, tenant_id)
