"""Request and response documents of auth clients (contract section 14)."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.client_secret_expiry import given_expiry, shown_expiry
from keyrack.api.core.body import or_none
from keyrack.api.core.jsonapi import (
    UNREADABLE,
    Identifier,
    Linkage,
    NewResource,
    Relationship,
    SelfLink,
    link_self,
    related,
)
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.service.clients.auth_client_values import (
    AuthClientView,
    ChangedAuthClient,
    NamedScope,
    NewAuthClient,
    ScopeKind,
)
from keyrack.validation.fields import Label, Time

ResourceId = Annotated[str, Meta(min_length=1, max_length=255)]

_CREDENTIALS = (
    "For `oauth2` and `oauth2_instagram`: `client_id`, `client_secret`, `auth_uri`, `token_uri`, `refresh_token_uri`"
    " (default: `token_uri`), `token_expires_in` (seconds, default 3600); extensions (0.6): `pkce` (default true),"
    " `client_auth` (`post`, `basic`, `basic_raw` or `none`; by default as a linked component declares, else `post`;"
    " `client_secret` is not needed with `none`), `revocation_uri` (RFC 7009), `introspection_uri` (RFC 7662),"
    " `issuer` (RFC 8414, 9207), `authorization_response_iss_parameter_supported` (whether callbacks always name it),"
    " `refresh_token_grace` (seconds for which the provider takes a rotated refresh token again),"
    " `resource` (RFC 8707), `scope` (asked for where nobody names any), `redirect_uri` (what the client is"
    " registered with: the documented address, or its issuer's own). With `issuer` alone the addresses are discovered"
    " (RFC 8414); with `registration` (an object: members of RFC 7591 and `initial_access_token`) and without"
    " `client_id` the client is registered. Other types: any object."
)
Credentials = Annotated[dict[str, Any], Meta(description=_CREDENTIALS)]


class LinkedComponent(msgspec.Struct):
    """Linkage to a component."""

    id: ResourceId
    type: Literal["component"]


class TenantOfAuthClient(msgspec.Struct):
    """Linkage to the tenant whose client it is."""

    id: ResourceId
    type: Literal["tenant"]


class ContractOfAuthClient(msgspec.Struct):
    """Linkage to the contract whose client it is."""

    id: ResourceId
    type: Literal["contract"]


class WorkspaceOfAuthClient(msgspec.Struct):
    """Linkage to the workspace whose client it is."""

    id: ResourceId
    type: Literal["workspace"]


class ScopeRelationships(msgspec.Struct, kw_only=True):
    """The scope of a client: at most one; none is the global scope (section 14)."""

    tenant: Linkage[TenantOfAuthClient] | UnsetType = UNSET
    contract: Linkage[ContractOfAuthClient] | UnsetType = UNSET
    workspace: Linkage[WorkspaceOfAuthClient] | UnsetType = UNSET

    def named(self) -> list[NamedScope]:
        """Return every scope that is named."""
        given = {
            ScopeKind.tenant: self.tenant,
            ScopeKind.contract: self.contract,
            ScopeKind.workspace: self.workspace,
        }
        return [NamedScope(kind, link.data.id) for kind, link in given.items() if not isinstance(link, UnsetType)]


class ScopeOnly(msgspec.Struct):
    """Of a create request only what says where the client is to be."""

    relationships: ScopeRelationships = msgspec.field(default_factory=ScopeRelationships)


class ScopeOnlyBody(msgspec.Struct):
    """Of the body of a create request only what says where: permissions are judged there before the rest is."""

    data: ScopeOnly

    def only(self) -> NamedScope | None:
        """Return the one scope that is named, or None for the global one.

        Raises:
            ValidationFailed: more than one is named.
        """
        named = self.data.relationships.named()
        if len(named) > 1:
            problem = "an auth client belongs to at most one of tenant, contract and workspace"
            raise ValidationFailed(*(Problem(problem, f"/data/relationships/{each.kind.value}") for each in named))
        return named[0] if named else None


class NewRelationships(ScopeRelationships, kw_only=True):
    """Scope and components of a new client."""

    components: Linkage[Annotated[list[LinkedComponent], Meta(min_length=1, max_length=1000)]]


class NewAttributes(msgspec.Struct):
    """Name, type and credentials."""

    name: Label
    type: Label
    credentials: Credentials
    secret_expires_at: Time | UnsetType | None = UNSET


class CreateAuthClient(NewResource, kw_only=True):
    """Data of a create request (14.2)."""

    type: Literal["auth-client"]
    attributes: NewAttributes
    relationships: NewRelationships


class CreateAuthClientBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateAuthClient

    def command(self) -> NewAuthClient:
        """Return what is wanted."""
        given = self.data.attributes
        components = [component.id for component in self.data.relationships.components.data]
        expiry = given_expiry(given.secret_expires_at)
        return NewAuthClient(given.name, given.type, components, given.credentials, self.data.given_id, expiry)


class ChangedRelationships(ScopeRelationships, kw_only=True):
    """The components a client is to have; a scope must be the one it has."""

    components: Linkage[Annotated[list[LinkedComponent], Meta(min_length=1, max_length=1000)]] | UnsetType = UNSET


class ChangedAttributes(msgspec.Struct):
    """What may change, and what may be repeated."""

    name: Label | UnsetType = UNSET
    type: Label | UnsetType = UNSET
    credentials: Credentials | UnsetType = UNSET
    secret_expires_at: Time | UnsetType | None = UNSET


class ChangeAuthClient(msgspec.Struct):
    """Data of an update request (14.3)."""

    type: Literal["auth-client"]
    id: str | UnsetType = UNSET
    attributes: ChangedAttributes = msgspec.field(default_factory=ChangedAttributes)
    relationships: ChangedRelationships = msgspec.field(default_factory=ChangedRelationships)


class ChangeAuthClientBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeAuthClient

    def command(self) -> ChangedAuthClient:
        """Return what is wanted."""
        given, links = self.data.attributes, self.data.relationships
        components = links.components
        return ChangedAuthClient(
            name=or_none(given.name),
            type=or_none(given.type),
            component_ids=None if isinstance(components, UnsetType) else [each.id for each in components.data],
            scopes=links.named(),
            credentials=or_none(given.credentials),
            expiry=given_expiry(given.secret_expires_at),
        )


class ComponentLinks(msgspec.Struct, frozen=True):
    """Linkage to the components of a client; a deleted component is no longer among them."""

    data: list[Identifier]


class AuthClientAttributes(msgspec.Struct):
    """The credentials are absent for those without a get permission at the client's own scope (14.1).

    In a list also where they cannot be decrypted, which `error_code` says.
    """

    type: str
    name: str
    credentials: Credentials | UnsetType = UNSET
    secret_expires_at: str | UnsetType = UNSET
    error_code: str | UnsetType = UNSET


class AuthClientRelationships(msgspec.Struct):
    """The components and at most one scope; none for a global client."""

    components: ComponentLinks
    tenant: Relationship | UnsetType = UNSET
    contract: Relationship | UnsetType = UNSET
    workspace: Relationship | UnsetType = UNSET


class AuthClientResource(msgspec.Struct):
    """An auth client."""

    id: str
    links: SelfLink
    attributes: AuthClientAttributes
    relationships: AuthClientRelationships
    type: Literal["auth-client"] = "auth-client"


def auth_client_resource(view: AuthClientView) -> AuthClientResource:
    """Return a client as a resource."""
    client = view.client
    credentials = UNSET if view.credentials is None or client.damaged else view.credentials
    return AuthClientResource(
        client.id,
        link_self(f"/v2/auth-clients/{client.id}"),
        AuthClientAttributes(
            client.type,
            client.name,
            credentials,
            shown_expiry(client.expiry),
            UNREADABLE if client.damaged else UNSET,
        ),
        _relationships(client),
    )


def _relationships(client: AuthClient) -> AuthClientRelationships:
    links = AuthClientRelationships(ComponentLinks([Identifier(each, "component") for each in client.component_ids]))
    if client.workspace_id is not None:
        links.workspace = related("workspace", "/v2/workspaces", client.workspace_id)
    elif client.contract_id is not None:
        links.contract = related("contract", "/v2/contracts", client.contract_id)
    elif client.tenant_id:
        links.tenant = related("tenant", "/v2/tenants", client.tenant_id)
    return links
