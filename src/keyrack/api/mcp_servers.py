"""`/v2/workspaces/{W}/mcp-servers` (extension, decision 42)."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.auth_client_documents import LinkedComponent
from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Linkage, Relationship, Single, Text, related
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.service.discovery.mcp_servers import McpServers, McpServerView, NewMcpServer
from keyrack.validation.fields import Label


class NewMcpServerAttributes(msgspec.Struct):
    """The server's address; `client_id` and `client_secret` of a client that you have registered, if need be.

    `authorization_server` is the issuer that you expect; with a `client_secret` it is required.
    """

    url: Annotated[str, Meta(min_length=1, max_length=4096)]
    name: Label | UnsetType = UNSET
    client_id: Text | UnsetType = UNSET
    client_secret: Text | UnsetType = UNSET
    authorization_server: Text | UnsetType = UNSET


class NewMcpServerRelationships(msgspec.Struct):
    """Components that the auth client is linked to."""

    components: Linkage[Annotated[list[LinkedComponent], Meta(max_length=1000)]] | UnsetType = UNSET


class AddMcpServer(msgspec.Struct):
    """Data of a request to add a server."""

    type: Literal["mcp-server"]
    attributes: NewMcpServerAttributes
    relationships: NewMcpServerRelationships = msgspec.field(default_factory=NewMcpServerRelationships)


class AddMcpServerBody(msgspec.Struct):
    """Body of a request to add a server."""

    data: AddMcpServer

    def command(self) -> NewMcpServer:
        """Return what is wanted."""
        given, components = self.data.attributes, self.data.relationships.components
        return NewMcpServer(
            given.url,
            or_none(given.name),
            [] if isinstance(components, UnsetType) else [each.id for each in components.data],
            or_none(given.client_id),
            or_none(given.client_secret),
            or_none(given.authorization_server),
        )


class McpServerAttributes(msgspec.Struct):
    """Where accounts are connected, and how Keyrack is known there."""

    url: str
    resource: str
    client_identification: Literal["client_id_metadata_document", "dynamic_registration", "pre_registered"]
    scopes: list[str]
    authorization_server: str | UnsetType = UNSET


class McpServerRelationships(msgspec.Struct):
    """The auth client with which consents are started."""

    auth_client: Relationship


class McpServerResource(msgspec.Struct):
    """An MCP server that a workspace can connect accounts at; its id is that of the auth client."""

    id: str
    attributes: McpServerAttributes
    relationships: McpServerRelationships
    type: Literal["mcp-server"] = "mcp-server"


class McpServerController(Controller):
    """MCP servers of a workspace."""

    path = "/v2/workspaces/{workspace_id:str}/mcp-servers"
    tags = ("Auth clients",)

    @post(status_code=200, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add(
        self,
        workspace_id: PATH_ID,
        data: Body[AddMcpServerBody],
        who: Who,
        mcp_servers: NamedDependency[McpServers],
    ) -> Single[McpServerResource]:
        """Add an MCP server by its address: an auth client to start consents with, the same each time (extension)."""
        return Single(_resource(await mcp_servers.add(who, workspace_id, data.then(AddMcpServerBody.command))))


def _resource(view: McpServerView) -> McpServerResource:
    attributes = McpServerAttributes(
        url=view.url,
        resource=view.resource,
        client_identification=view.identification.value,
        scopes=list(view.scopes),
        authorization_server=UNSET if view.issuer is None else view.issuer,
    )
    links = McpServerRelationships(related("auth-client", "/v2/auth-clients", view.client.id))
    return McpServerResource(view.client.id, attributes, links)
