"""Lists the console's modules; whatever handlers one defines are routes of `/console`."""

from collections.abc import Iterator
from types import ModuleType
from typing import Annotated

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter

from keyrack.console import building_blocks, overview
from keyrack.console.audit import log
from keyrack.console.clients import (
    auth_clients,
    components,
    deleted_clients,
    diagnosis,
    new_auth_client,
    oauth_clients,
    secret_rotation,
)
from keyrack.console.consents import connect, connect_links, connect_page, mcp_servers, waiting
from keyrack.console.core.refusals import answer_refusal
from keyrack.console.core.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.core.static_files import static_files
from keyrack.console.core.visit import visit, visitor
from keyrack.console.credentials import credentials
from keyrack.console.identity import (
    account,
    api_keys,
    organisation_sign_in,
    people,
    sign_in,
    single_sign_on,
    two_step,
)
from keyrack.console.operator import (
    grants,
    installation,
    keys,
    processes,
    providers,
    queue,
    service_accounts,
    tenants,
)
from keyrack.console.search import search
from keyrack.console.secrets import connection, connection_list, grant_reports
from keyrack.console.tenancy import contract_members, contracts, invites, roles, workspace_members, workspaces
from keyrack.console.tenancy.workspace_place import workspace_place
from keyrack.console.webhooks import deliveries, webhooks
from keyrack.errors import KeyrackError, NotFound

_A_YEAR = "public, max-age=31536000, immutable"
"""For which a file is kept whose name changes with its content."""

_MODULES = (
    account,
    api_keys,
    auth_clients,
    building_blocks,
    components,
    connect,
    connect_links,
    connect_page,
    connection,
    connection_list,
    contract_members,
    contracts,
    credentials,
    deleted_clients,
    deliveries,
    diagnosis,
    grant_reports,
    grants,
    installation,
    invites,
    keys,
    log,
    mcp_servers,
    new_auth_client,
    oauth_clients,
    organisation_sign_in,
    overview,
    people,
    processes,
    providers,
    queue,
    roles,
    search,
    secret_rotation,
    service_accounts,
    sign_in,
    single_sign_on,
    tenants,
    two_step,
    waiting,
    webhooks,
    workspace_members,
    workspaces,
)


@get("/files/{name:str}")
async def console_file(name: Annotated[str, PathParameter(description="A style sheet or script.")]) -> Response[bytes]:
    """Return a file that pages load, to anybody.

    Raises:
        NotFound: there is none of this name.
    """
    found = static_files().get(name)
    if found is None:
        raise NotFound
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": _A_YEAR})


def _handlers(module: ModuleType) -> Iterator[HTTPRouteHandler]:
    """Yield the handlers that a module defines."""
    for value in vars(module).values():
        if isinstance(value, HTTPRouteHandler) and value.fn.__module__ == module.__name__:
            yield value


CONSOLE = Router(
    PATH,
    route_handlers=[console_file, *(handler for module in _MODULES for handler in _handlers(module))],
    dependencies={
        "visit": Provide(visit),
        "who": Provide(visitor, sync_to_thread=False),
        "place": Provide(workspace_place),
        "connection_page": Provide(connection.connection_page),
    },
    exception_handlers={SignInNeeded: answer_sign_in_needed, KeyrackError: answer_refusal},
    include_in_schema=False,
)
"""What is at `/console`. A handler gets a use case only once it is known who is visiting, as one of the API does."""
