"""`/v2/credentials` (contract section 16)."""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import (
    UNREADABLE,
    Linkage,
    Many,
    NewResource,
    Relationship,
    SelfLink,
    Single,
    Text,
    link_self,
    related,
)
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import Problem, ValidationFailed
from keyrack.service.credentials.credentials import ChangedCredential, Credentials, CredentialView, NewCredential


class ComponentOfCredential(msgspec.Struct):
    """Linkage to the component."""

    id: Text
    type: Literal["component"]


class WorkspaceOfCredential(msgspec.Struct):
    """Linkage to the workspace."""

    id: Text
    type: Literal["workspace"]


class NewCredentialRelationships(msgspec.Struct):
    """What a new credential belongs to."""

    component: Linkage[ComponentOfCredential]
    workspace: Linkage[WorkspaceOfCredential]


class CredentialInput(msgspec.Struct):
    """Name and values; both optional."""

    name: Text | UnsetType = UNSET
    keys: dict[str, Any] | UnsetType = UNSET


class CreateCredential(NewResource):
    """Data of a create request."""

    type: Literal["credential"]
    relationships: NewCredentialRelationships
    attributes: CredentialInput = msgspec.field(default_factory=CredentialInput)


class CreateCredentialBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateCredential


class ChangeCredential(msgspec.Struct):
    """Data of an update request; `id` is required."""

    id: str
    type: Literal["credential"]
    attributes: CredentialInput = msgspec.field(default_factory=CredentialInput)


class ChangeCredentialBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeCredential


class CredentialAttributes(msgspec.Struct):
    """Keys are absent for those who may not see them (0.4), and in a list where they cannot be decrypted."""

    name: str
    keys: dict[str, Any] | UnsetType = UNSET
    error_code: str | UnsetType = UNSET
    account_label: str | UnsetType = UNSET
    account_subject: str | UnsetType = UNSET


class CredentialRelationships(msgspec.Struct):
    """Owner, component and workspace."""

    user: Relationship
    component: Relationship
    workspace: Relationship


class CredentialResource(msgspec.Struct):
    """A first-generation credential."""

    id: str
    links: SelfLink
    attributes: CredentialAttributes
    relationships: CredentialRelationships
    type: Literal["credential"] = "credential"


class CredentialController(Controller):
    """Credentials."""

    path = "/v2/credentials"
    tags = ("Credentials",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        credentials: NamedDependency[Credentials],
        page: WantedPage,
        workspace_id: Annotated[
            str | None,
            QueryParameter(name="workspace_id", description="Required: the workspace whose credentials are listed."),
        ] = None,
        component_id: Annotated[
            str | None, QueryParameter(name="filter[component]", description="Those for a component, by id.")
        ] = None,
    ) -> Many[CredentialResource]:
        """List a workspace's credentials."""
        if not workspace_id:
            raise ValidationFailed(Problem("workspace_id is required", parameter="workspace_id"))
        read = partial(credentials.list, who, workspace_id, component_id or None)
        links = link_self("/v2/credentials")
        return await read_list(
            page, read, _resource, key=lambda view: view.credential.id, whole=credentials.whole, links=links
        )

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self, data: Body[CreateCredentialBody], who: Who, credentials: NamedDependency[Credentials]
    ) -> Single[CredentialResource]:
        """Create a credential."""
        workspace = data.then(lambda body: body.data.relationships.workspace.data.id)
        return Single(_resource(await credentials.create(who, workspace, data.then(_new))))

    @get("/{credential_id:str}", responses=Refusals.of(404, 409, 423))
    async def retrieve(
        self, credential_id: PATH_ID, who: Who, credentials: NamedDependency[Credentials]
    ) -> Single[CredentialResource]:
        """Return one credential."""
        return Single(_resource(await credentials.get(who, credential_id)))

    @patch("/{credential_id:str}", responses=Refusals.of(400, 403, 404, 409, 423, body=True))
    async def change(
        self,
        credential_id: PATH_ID,
        data: Body[ChangeCredentialBody],
        who: Who,
        credentials: NamedDependency[Credentials],
    ) -> Single[CredentialResource]:
        """Change a credential; supplied keys replace the stored ones."""

        def changed(body: ChangeCredentialBody) -> ChangedCredential:
            require_id(body.data.id, credential_id)
            given = body.data.attributes
            return ChangedCredential(or_none(given.name), or_none(given.keys))

        return Single(_resource(await credentials.change(who, credential_id, data.then(changed))))

    @delete("/{credential_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, credential_id: PATH_ID, who: Who, credentials: NamedDependency[Credentials]) -> None:
        """Delete a credential that no active flow uses."""
        await credentials.delete(who, credential_id)


def _new(body: CreateCredentialBody) -> NewCredential:
    given, about = body.data.attributes, body.data.relationships
    keys = {} if given.keys is UNSET else given.keys
    return NewCredential(
        about.workspace.data.id, about.component.data.id, or_none(given.name), keys, body.data.given_id
    )


def _resource(view: CredentialView) -> CredentialResource:
    found = view.credential
    attributes = CredentialAttributes(
        found.name,
        found.keys if view.keys_visible and not found.damaged else UNSET,
        error_code=UNREADABLE if found.damaged else UNSET,
        account_label=found.account.label or UNSET,
        account_subject=found.account.subject or UNSET,
    )
    return CredentialResource(
        found.id,
        link_self(f"/v2/credentials/{found.id}"),
        attributes,
        CredentialRelationships(
            user=related("user", "/v2/users", found.user_id),
            component=related("component", "/v2/components", found.component_id),
            workspace=related("workspace", "/v2/workspaces", found.workspace_id),
        ),
    )
