"""`/v2/tenants/{T}/oauth-clients` (contract section 8, extension usage 0.15)."""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.client_secret_expiry import SecretExpiresBefore, given_expiry, shown_expiry, wanted_clients
from keyrack.api.core.body import require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import (
    UNREADABLE,
    Linkage,
    Many,
    NewResource,
    NotBlank,
    Relationship,
    Single,
    Text,
    related,
)
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.model.flows import FlowPlace, Usage
from keyrack.service.clients.oauth_clients import NewOAuthClient, OAuthClients, OAuthClientView
from keyrack.validation.fields import Time

ClientAuth = Annotated[
    Literal["post", "basic", "basic_raw", "none"],
    msgspec.Meta(
        description="How the client authenticates at the token endpoint (extension, 0.23); null: as the component's"
        " descriptor says. `basic_raw` is a Basic header without RFC 6749's encoding, `none` a public client."
    ),
]
SecretOrNone = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"\S|\A\Z")]
"""Empty for public clients only."""


class OAuthClientAttributes(msgspec.Struct):
    """The pair obtained from the provider, stored verbatim (8.2); the secret is returned in clear (24.7)."""

    client_id: NotBlank
    client_secret: SecretOrNone
    client_auth: ClientAuth | UnsetType | None = UNSET
    secret_expires_at: Time | UnsetType | None = UNSET


class ShownOAuthClientAttributes(msgspec.Struct):
    """The pair; in a list `error_code` in its place where it cannot be decrypted."""

    client_id: NotBlank | UnsetType = UNSET
    client_secret: SecretOrNone | UnsetType = UNSET
    client_auth: ClientAuth | UnsetType | None = UNSET
    secret_expires_at: str | UnsetType = UNSET
    error_code: str | UnsetType = UNSET


class ComponentIdentifier(msgspec.Struct):
    """Linkage to a component."""

    id: Text
    type: Literal["component"]


class NewRelationships(msgspec.Struct):
    """What a new client belongs to."""

    component: Linkage[ComponentIdentifier]


class CreateOAuthClient(NewResource):
    """Data of a create request; the documentation of the original prints `flow` as type, so both are taken (8.2)."""

    type: Literal["oauth-client", "flow"]
    attributes: OAuthClientAttributes
    relationships: NewRelationships


class ReplaceOAuthClient(msgspec.Struct):
    """Data of an update request: all five members are required although it is a PATCH (8.4)."""

    type: Literal["oauth-client"]
    attributes: OAuthClientAttributes
    relationships: NewRelationships
    id: str | UnsetType = UNSET


class CreateOAuthClientBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateOAuthClient


class ReplaceOAuthClientBody(msgspec.Struct):
    """Body of an update request."""

    data: ReplaceOAuthClient


class OAuthClientRelationships(msgspec.Struct):
    """Absent as a whole when the component is gone (24.6)."""

    component: Relationship


class OAuthClientResource(msgspec.Struct):
    """An OAuth client; it has neither `links` nor a tenant relationship (section 8)."""

    id: str
    attributes: ShownOAuthClientAttributes
    type: Literal["oauth-client"] = "oauth-client"
    relationships: OAuthClientRelationships | UnsetType = UNSET


class UsingFlow(msgspec.Struct):
    """A flow that names the component, and where."""

    id: str
    name: str
    status: str
    in_: list[FlowPlace] = msgspec.field(name="in")


class UsageAttributes(msgspec.Struct):
    """The blast radius of a client (0.15)."""

    flows: list[UsingFlow]
    credentials: int
    workspaces: int
    last_used_at: str | None


class UsageResource(msgspec.Struct):
    """What depends on a client."""

    id: str
    attributes: UsageAttributes
    type: Literal["oauth-client-usage"] = "oauth-client-usage"


class OAuthClientController(Controller):
    """OAuth clients of a tenant."""

    path = "/v2/tenants/{tenant_id:str}/oauth-clients"
    tags = ("OAuth clients",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self,
        tenant_id: PATH_ID,
        data: Body[CreateOAuthClientBody],
        who: Who,
        oauth_clients: NamedDependency[OAuthClients],
    ) -> Single[OAuthClientResource]:
        """Create the tenant's OAuth client for a component (8.2)."""
        return _document(await oauth_clients.create(who, tenant_id, data.then(new_oauth_client)))

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        tenant_id: PATH_ID,
        who: Who,
        oauth_clients: NamedDependency[OAuthClients],
        page: WantedPage,
        component_id: Annotated[
            str | None, QueryParameter(name="filter[component]", description="The one for a component, by id.")
        ] = None,
        secret_expires_before: SecretExpiresBefore = None,
    ) -> Many[OAuthClientResource]:
        """List the tenant's OAuth clients (8.3)."""
        read = partial(oauth_clients.list, who, tenant_id, wanted_clients(component_id, secret_expires_before))
        return await read_list(page, read, _resource, key=lambda view: view.client.id, whole=oauth_clients.whole)

    @get("/{oauth_client_id:str}", responses=Refusals.of(403, 404, 409))
    async def retrieve(
        self, tenant_id: PATH_ID, oauth_client_id: PATH_ID, who: Who, oauth_clients: NamedDependency[OAuthClients]
    ) -> Single[OAuthClientResource]:
        """Return one OAuth client (8.3)."""
        return _document(await oauth_clients.get(who, tenant_id, oauth_client_id))

    @patch("/{oauth_client_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def replace(
        self,
        tenant_id: PATH_ID,
        oauth_client_id: PATH_ID,
        data: Body[ReplaceOAuthClientBody],
        who: Who,
        oauth_clients: NamedDependency[OAuthClients],
    ) -> Single[OAuthClientResource]:
        """Replace an OAuth client's values (8.4)."""

        def changed(body: ReplaceOAuthClientBody) -> NewOAuthClient:
            require_id(body.data.id, oauth_client_id)
            return new_oauth_client(body)

        return _document(await oauth_clients.replace(who, tenant_id, oauth_client_id, data.then(changed)))

    @delete("/{oauth_client_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(
        self, tenant_id: PATH_ID, oauth_client_id: PATH_ID, who: Who, oauth_clients: NamedDependency[OAuthClients]
    ) -> None:
        """Delete an OAuth client that no flow uses (8.5, 0.1)."""
        await oauth_clients.delete(who, tenant_id, oauth_client_id)

    @get("/{oauth_client_id:str}/usage", responses=Refusals.of(403, 404))
    async def usage(
        self, tenant_id: PATH_ID, oauth_client_id: PATH_ID, who: Who, oauth_clients: NamedDependency[OAuthClients]
    ) -> Single[UsageResource]:
        """Return what depends on an OAuth client: its blast radius (extension, 0.15)."""
        return Single(_usage(oauth_client_id, await oauth_clients.usage(who, tenant_id, oauth_client_id)))


def new_oauth_client(body: CreateOAuthClientBody | ReplaceOAuthClientBody) -> NewOAuthClient:
    """Return what a body wants."""
    given = body.data.attributes
    made_up = body.data.given_id if isinstance(body, CreateOAuthClientBody) else None
    component_id = body.data.relationships.component.data.id
    return NewOAuthClient(
        given.client_id,
        Secret(given.client_secret),
        component_id,
        made_up,
        client_auth=given.client_auth or None,
        keeps_client_auth=given.client_auth is UNSET,
        expiry=given_expiry(given.secret_expires_at),
    )


def _document(view: OAuthClientView) -> Single[OAuthClientResource]:
    return Single(_resource(view))


def _resource(view: OAuthClientView) -> OAuthClientResource:
    client = view.client
    relationships: OAuthClientRelationships | UnsetType = UNSET
    if view.component_visible:
        relationships = OAuthClientRelationships(related("component", "/v2/components", client.component_id))
    chosen: Any = client.client_auth or UNSET  # without one, the shape is the contract's own (0.6)
    ends = shown_expiry(client.expiry)
    attributes = ShownOAuthClientAttributes(client.client_id, client.client_secret.reveal(), chosen, ends)
    if client.damaged:
        attributes = ShownOAuthClientAttributes(client_auth=chosen, secret_expires_at=ends, error_code=UNREADABLE)
    return OAuthClientResource(client.id, attributes, relationships=relationships)


def _usage(oauth_client_id: str, usage: Usage) -> UsageResource:
    flows = [UsingFlow(flow.flow_id, flow.flow_name, flow.flow_status.value, list(flow.places)) for flow in usage.flows]
    last = None if usage.last_used_at is None else iso(usage.last_used_at)
    return UsageResource(oauth_client_id, UsageAttributes(flows, usage.credentials, usage.workspaces, last))
