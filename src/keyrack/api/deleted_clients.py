"""`/v2/tenants/{T}/deleted-clients`: clients that were deleted and can be restored (extension, decision 53)."""

from typing import Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.dependencies import Who
from keyrack.api.core.jsonapi import Many, Single
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.model.deleted_clients import ClientKind, DeletedClient
from keyrack.service.deleted_clients.restoring import ClientRestoring


class DeletedClientAttributes(msgspec.Struct):
    """A deleted client: what it was, and until when it can be restored."""

    client_type: ClientKind
    deleted_at: str
    restorable_until: str
    name: str | UnsetType = UNSET
    component_id: str | UnsetType = UNSET
    contract_id: str | UnsetType = UNSET
    workspace_id: str | UnsetType = UNSET


class DeletedClientResource(msgspec.Struct):
    """A deleted client; its id is the client's."""

    id: str
    attributes: DeletedClientAttributes
    type: Literal["deleted-client"] = "deleted-client"


class DeletedClientController(Controller):
    """Deleted clients of a tenant."""

    path = "/v2/tenants/{tenant_id:str}/deleted-clients"
    tags = ("Deleted clients",)

    @get(responses=Refusals.of(403, 404))
    async def list_all(
        self, tenant_id: PATH_ID, who: Who, deleted_clients: NamedDependency[ClientRestoring]
    ) -> Many[DeletedClientResource]:
        """List the deleted clients that can be restored, of those that the caller may delete (extension)."""
        return Many([_resource(each) for each in await deleted_clients.list(who, tenant_id)])

    @post("/{deleted_client_id:str}/restore", status_code=200, responses=Refusals.of(403, 404, 409))
    async def restore(
        self,
        tenant_id: PATH_ID,
        deleted_client_id: PATH_ID,
        who: Who,
        deleted_clients: NamedDependency[ClientRestoring],
    ) -> Single[DeletedClientResource]:
        """Put a deleted client back as it was, with its id and secrets (extension)."""
        return Single(_resource(await deleted_clients.restore(who, tenant_id, deleted_client_id)))

    @delete("/{deleted_client_id:str}", responses=Refusals.of(403, 404))
    async def purge(
        self,
        tenant_id: PATH_ID,
        deleted_client_id: PATH_ID,
        who: Who,
        deleted_clients: NamedDependency[ClientRestoring],
    ) -> None:
        """Delete a deleted client for good, before its time is over (extension)."""
        await deleted_clients.purge(who, tenant_id, deleted_client_id)


def _resource(deleted: DeletedClient) -> DeletedClientResource:
    attributes = DeletedClientAttributes(
        deleted.kind,
        iso(deleted.deleted_at),
        iso(deleted.ends_at),
        deleted.name or UNSET,
        deleted.component_id or UNSET,
        deleted.contract_id or UNSET,
        deleted.workspace_id or UNSET,
    )
    return DeletedClientResource(deleted.id, attributes)
