"""Makes an auth client of the address of an MCP server, ready to connect accounts with (decision 42)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from keyrack.errors import AlreadyExists, Forbidden, Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal
from keyrack.oauth.protected_resource import without_trailing_slash
from keyrack.provider.uri_guard import check_issuer, check_uri
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import auth_client_permissions
from keyrack.service.clients.auth_client_credentials import (
    REDIRECT_URI,
    REGISTRATION,
    REGISTRATION_CLIENT_URI,
    REGISTRATION_ENDPOINT,
    RESOURCE,
    SCOPE,
)
from keyrack.service.clients.auth_client_profile import INTROSPECTION_URI
from keyrack.service.clients.auth_client_reading import found_client, unknown_client
from keyrack.service.clients.auth_client_values import NamedScope, NewAuthClient, ScopeKind
from keyrack.service.clients.auth_clients import TARGET, AuthClients
from keyrack.service.discovery.client_documents import ClientDocuments
from keyrack.service.discovery.protected_resources import Expected, FoundResource, ProtectedResources
from keyrack.store.auth_clients import AuthClientRows
from keyrack.validation.unvalidated import Unvalidated

CREATE = ("workspaces.auth_clients.create", "global.auth_clients.create")
"""Permissions of which one, held at the workspace or around it, is needed to add a server."""
URL_POINTER = "/data/attributes/url"
_CONNECT = ("workspaces.auth_secret.create", "workspaces.auth_secret.edit")
SERVER_POINTER = "/data/attributes/authorization_server"
_CLIENT_ID_POINTER = "/data/attributes/client_id"
_OFFLINE = "offline_access"
_S256 = "S256"
_LONGEST_NAME = 200


class ClientIdentification(StrEnum):
    """How a client is known to an MCP server's authorization server."""

    document = "client_id_metadata_document"
    registration = "dynamic_registration"
    given = "pre_registered"


@dataclass(frozen=True, slots=True)
class NewMcpServer:
    """What a caller sends.

    Attributes:
        url: of the server.
        name: of the auth client; None: the server's address.
        component_ids: of components that it is linked to.
        client_id: of a client that somebody has registered at the authorization server; None: Keyrack finds a way.
        client_secret: its secret; None: it is a public client.
        authorization_server: the issuer where it is registered, or that is expected; None: whichever the server names,
            which is not enough for a secret.
    """

    url: str
    name: str | None = None
    component_ids: Sequence[str] = ()
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    authorization_server: str | None = None


@dataclass(frozen=True, slots=True)
class McpServerView:
    """An MCP server that a workspace can connect accounts at.

    Attributes:
        url: as it was asked for.
        client: the auth client; its credentials are not to be shown.
        identification: how that is known to the authorization server.
    """

    url: str
    client: AuthClient
    identification: ClientIdentification

    @property
    def resource(self) -> str:
        """What tokens are asked for with (RFC 8707)."""
        return str(self.client.credentials.get(RESOURCE) or self.url)

    @property
    def issuer(self) -> str | None:
        """The authorization server."""
        return self.client.credentials.get("issuer")

    @property
    def scopes(self) -> Sequence[str]:
        """What is asked for where nobody names any."""
        return str(self.client.credentials.get(SCOPE) or "").split()


class UnconfirmedServer(ValidationFailed):
    """A client's secret would go to an authorization server that nobody but the MCP server has named.

    Attributes:
        issuer: that it names.
    """

    def __init__(self, issuer: str) -> None:
        detail = (
            f"is required with client_secret: the server names {issuer}, which would be told the secret. Give"
            " that if it is where the client is registered"
        )
        super().__init__(Problem(detail, SERVER_POINTER))
        self.issuer = issuer


class _NotThere(Exception):
    """The workspace has no client for the server yet; nothing was written."""


class McpServers:
    """Adds MCP servers to workspaces.

    Args:
        access: the way into every operation.
        auth_clients: makes the clients.
        resources: asks the servers.
        documents: the document that this installation is named by.
        allow_insecure: accept http addresses and private ones.
    """

    def __init__(
        self,
        access: Access,
        auth_clients: AuthClients,
        resources: ProtectedResources,
        documents: ClientDocuments,
        *,
        allow_insecure: bool,
    ) -> None:
        self._access = access
        self._auth_clients = auth_clients
        self._resources = resources
        self._documents = documents
        self._allow_insecure = allow_insecure

    async def add(self, who: Principal, workspace_id: str, new: Unvalidated[NewMcpServer]) -> McpServerView:
        """Return the auth client with which a workspace connects accounts at a server; make one if it has none.

        One of the workspace itself counts before one of its contract, its tenant and a global one.

        Raises:
            NotFound: there is no such workspace.
            Forbidden: the caller may not create auth clients there.
            ValidationFailed: the address is wrong, or leads to no server that accounts can be connected at, or to
                another authorization server than the caller names.
            UnconfirmedServer: a secret is given, and not for which authorization server.
            RelatedNotFound: a component cannot be seen there.
            AlreadyExists: there is a client for the server, and the caller gave another one's id.
            ProviderError, ProviderUnavailable: the server or its authorization server did not answer, or refused.
        """
        try:
            async with self._access.workspace(who, workspace_id, "mcp-server.add") as scope:
                if not (await auth_client_permissions(scope)).allows("create", scope.place):
                    raise Forbidden("this needs the permission global.auth_clients.create, held at the workspace")
                scope.require_open()
                tenant_id, wanted = scope.unit.tenant_id, self._judged(new.validated())
                there = await self._known(scope, wanted)
                scope.audit_target(TARGET, there.client.id)
                return there
        except _NotThere:
            pass
        issuer = wanted.authorization_server
        expected = None if issuer is None else Expected(issuer, SERVER_POINTER)
        found = await self._resources.find(wanted.url, tenant_id=tenant_id, pointer=URL_POINTER, expected=expected)
        if wanted.client_secret is not None and issuer is None:
            raise UnconfirmedServer(found.issuer)
        credentials = self._credentials(found, wanted)
        named = wanted.name or _name_of(wanted.url)
        made = NewAuthClient(
            named, "oauth2", wanted.component_ids, credentials, mcp_server=without_trailing_slash(wanted.url)
        )
        try:
            view = await self._auth_clients.create(
                who, Unvalidated(lambda: NamedScope(ScopeKind.workspace, workspace_id)), Unvalidated(lambda: made)
            )
        except AlreadyExists:  # somebody else was quicker
            async with self._access.workspace(who, workspace_id) as scope:
                return await self._known(scope, wanted)
        return self._view(wanted.url, view.client)

    async def get(self, who: Principal, workspace_id: str, auth_client_id: str) -> McpServerView:
        """Return what is known of a server that a workspace has a client for.

        Raises:
            NotFound: there is no such workspace, or no client of that id for a protected resource.
            Forbidden: the caller may neither connect accounts there nor see or create auth clients.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            reach = await auth_client_permissions(scope)
            sees = any(reach.allows(action, scope.place) for action in ("get", "create"))
            scope.require_that(sees or scope.allows(*_CONNECT), "this needs a permission to connect accounts")
            client = await found_client(scope, auth_client_id)
            if not is_oauth2(client.type) or RESOURCE not in client.credentials:
                raise unknown_client()
            return self._view(client.credentials[RESOURCE], client)

    def _view(self, url: str, client: AuthClient) -> McpServerView:
        is_document = self._documents.is_client_id(client.credentials.get("client_id"))
        return McpServerView(url, client, _identification(client, is_document=is_document))

    def _judged(self, wanted: NewMcpServer) -> NewMcpServer:
        """Return what a caller sent, if the address can be asked.

        Raises:
            ValidationFailed: it cannot, or there is a secret without an id.
        """
        check_uri(wanted.url, allow_insecure=self._allow_insecure, pointer=URL_POINTER)
        if "{" in wanted.url or "}" in wanted.url:
            raise ValidationFailed(Problem("must not have braces", URL_POINTER))
        if wanted.client_secret is not None and wanted.client_id is None:
            raise ValidationFailed(Problem("client_id is required with client_secret", _CLIENT_ID_POINTER))
        if wanted.authorization_server is not None:
            check_issuer(wanted.authorization_server, allow_insecure=self._allow_insecure, pointer=SERVER_POINTER)
        return wanted

    async def _known(self, scope: Scope, wanted: NewMcpServer) -> McpServerView:
        """Return the client that a place has for a server.

        Raises:
            _NotThere: it has none.
            AlreadyExists: it is not the one that the caller means.
        """
        client = await AuthClientRows(scope.unit).for_server(scope.place, without_trailing_slash(wanted.url))
        if client is None:
            raise _NotThere
        meant = {"client_id": wanted.client_id, "issuer": wanted.authorization_server}
        if any(said not in (None, client.credentials.get(name)) for name, said in meant.items()):
            if client.workspace_id is None:  # the workspace may have its own beside it
                raise _NotThere
            raise AlreadyExists(
                "the workspace has an auth client with another client_id or issuer for this server: delete that first"
            )
        return self._view(wanted.url, client)

    def _credentials(self, found: FoundResource, wanted: NewMcpServer) -> Json:
        """Return the credentials of a client at the authorization server, or what has it registered there.

        In the order that the protocol has: a client that is there already, a document, a registration.

        Raises:
            ValidationFailed: the server knows no PKCE, or takes no client that it does not know.
        """
        server = found.server
        if _S256 not in (server.code_challenge_methods or ()):
            problem = "its authorization server does not say that it knows PKCE with S256, which the protocol requires"
            raise ValidationFailed(Problem(problem, URL_POINTER))
        if server.authorization_endpoint is None or server.token_endpoint is None:
            raise ValidationFailed(
                Problem("its authorization server has no authorization or token endpoint", URL_POINTER)
            )
        scopes = [*found.scopes, *([_OFFLINE] if _OFFLINE in server.scopes and found.scopes else [])]
        common: Json = {
            "issuer": found.issuer,
            "auth_uri": server.authorization_endpoint,
            "token_uri": server.token_endpoint,
            RESOURCE: found.resource,
            **({"revocation_uri": server.revocation_endpoint} if server.revocation_endpoint else {}),
            **({INTROSPECTION_URI: server.introspection_endpoint} if server.introspection_endpoint else {}),
            **({SCOPE: " ".join(dict.fromkeys(scopes))} if scopes else {}),
        }
        if wanted.client_id is not None:
            secret = {} if wanted.client_secret is None else {"client_secret": wanted.client_secret}
            return {**common, "client_id": wanted.client_id, **secret, "client_auth": _method(found, wanted)}
        ours = self._documents.client_of(found.issuer) if server.takes_client_documents else None
        if ours is not None:
            return {**common, "client_id": ours[0], REDIRECT_URI: ours[1], "client_auth": "none"}
        if server.registration_endpoint is not None:
            return {**common, REGISTRATION: {}, REGISTRATION_ENDPOINT: server.registration_endpoint}
        problem = "its authorization server registers no clients by itself: register one there, and give its client_id"
        raise ValidationFailed(Problem(problem, _CLIENT_ID_POINTER))


def _method(found: FoundResource, wanted: NewMcpServer) -> str:
    """Return how a client that somebody has registered authenticates, in the word of `client_auth`."""
    if wanted.client_secret is None:
        return "none"
    taken = found.server.token_endpoint_auth_methods
    return "post" if taken is not None and "client_secret_basic" not in taken else "basic"


def _identification(client: AuthClient, *, is_document: bool) -> ClientIdentification:
    if REGISTRATION in client.credentials or REGISTRATION_CLIENT_URI in client.credentials:
        return ClientIdentification.registration
    return ClientIdentification.document if is_document else ClientIdentification.given


def _name_of(url: str) -> str:
    """Return what a client is called: by the server's address, since what a server calls itself may be a lie."""
    return without_trailing_slash(url).partition("://")[2].partition("?")[0][:_LONGEST_NAME]
