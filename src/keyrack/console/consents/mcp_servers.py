"""`/console/workspaces/{W}/mcp-servers`: connecting at an MCP server of which one knows the address (decision 42)."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.consents.connect import NOT_OF_THE_FORM
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.workspace_place import WorkspacePlace
from keyrack.errors import KeyrackError, ProviderError
from keyrack.service.consents.registration_by_hand import RegistrationsByHand
from keyrack.service.discovery.mcp_servers import (
    CREATE,
    SERVER_POINTER,
    ClientIdentification,
    McpServers,
    NewMcpServer,
    UnconfirmedServer,
)
from keyrack.validation.unvalidated import Unvalidated

_AT = "/workspaces/{workspace_id:str}/mcp-servers"
_FIELDS = {SERVER_POINTER: "url", "/data/attributes/url": "url", "/data/attributes/client_id": "client_id"}
_WAYS: Mapping[ClientIdentification, str] = {
    ClientIdentification.document: "By a document of this installation, which the server fetches.",
    ClientIdentification.registration: "By a registration that Keyrack made there. It goes when the auth client goes.",
    ClientIdentification.given: "As a client that somebody registered there.",
}


@get(f"{_AT}/new", media_type=MediaType.HTML)
async def mcp_server_form(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
) -> Response[str]:
    """Ask for the address of a server."""
    place.require(*CREATE)
    return await _form(visit, place, registrations_by_hand)


@post(_AT, media_type=MediaType.HTML, status_code=200)
async def mcp_server_added(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
    mcp_servers: NamedDependency[McpServers],
) -> Response[str]:
    """Find out about a server; what it takes to connect there is made once, however often the form is sent."""
    sent = await visit.form()

    def new() -> NewMcpServer:
        client_id, secret = sent.text("client_id") or None, sent.get("client_secret") or None
        confirmed = sent.text("authorization_server") if sent.get("is_confirmed") else None
        return NewMcpServer(sent.text("url"), None, (), client_id, secret, confirmed or None)

    try:
        added = await mcp_servers.add(visit.who, place.id, Unvalidated(new))
    except NOT_OF_THE_FORM:
        raise
    except UnconfirmedServer as asked:
        values = {name: sent.text(name) for name in ("url", "client_id")}
        return await _form(visit, place, registrations_by_hand, {**values, "authorization_server": asked.issuer})
    except KeyrackError as error:
        by_field, others = problems_by_field(error, _FIELDS)
        said = list(error.failure.said.values()) if isinstance(error, ProviderError) else []
        told = [*others, *(f"The server says: {each}" for each in said)]
        values = {name: sent.text(name) for name in ("url", "client_id")}
        return await _form(visit, place, registrations_by_hand, values, by_field, told, status=400)
    return visit.go(f"{place.path}/mcp-servers/{added.client.id}")


@get(f"{_AT}/{{auth_client_id:str}}", media_type=MediaType.HTML)
async def mcp_server(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    auth_client_id: PATH_ID,
    mcp_servers: NamedDependency[McpServers],
) -> Response[str]:
    """Show what was found out, before anybody agrees to anything."""
    found = await mcp_servers.get(visit.who, place.id, auth_client_id)
    return visit.page(
        "consents/mcp_server.html",
        place=place,
        server=found,
        host=_host(found.resource),
        login=_host(found.issuer or ""),
        elsewhere=found.issuer is not None and _host(found.issuer) != _host(found.resource),
        way=_WAYS[found.identification],
        connects=f"{place.path}/connect?auth_client={found.client.id}" if place.may_connect else None,
    )


async def _form(
    visit: Visit,
    place: WorkspacePlace,
    registrations: RegistrationsByHand,
    values: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    others: Sequence[str] = (),
    *,
    status: int = 200,
) -> Response[str]:
    known = visit.who.tenant_id is not None
    redirect_uri = await registrations.redirect_uri(visit.who, visit.who.tenant_id or "") if known else ""
    return visit.page(
        "consents/mcp_server_new.html",
        status=status,
        place=place,
        values={"url": "", "client_id": "", "authorization_server": "", **(values or {})},
        login=_host((values or {}).get("authorization_server", "")),
        wrong={"url": "", "client_id": "", **(wrong or {})},
        others=others,
        redirect_uri=redirect_uri,
    )


def _host(address: str) -> str:
    parts = urlsplit(address)
    return parts.netloc or address
