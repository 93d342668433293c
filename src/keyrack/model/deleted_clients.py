"""A client that was deleted and can still be restored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClientKind(StrEnum):
    """What a client is, as a resource."""

    auth = "auth-client"
    oauth = "oauth-client"


@dataclass(frozen=True, slots=True)
class DeletedClient:
    """A client that was deleted; nothing of it is secret.

    Attributes:
        id: its id.
        tenant_id: whose it was; empty for a global one.
        kind: what it was.
        contract_id, workspace_id: the scope of an auth client below the tenant, if it had one.
        component_id: of an OAuth client, the component that it was for.
        name: of an auth client.
        deleted_at: when.
        ends_at: until when it can be restored.
    """

    id: str
    tenant_id: str
    kind: ClientKind
    contract_id: str | None
    workspace_id: str | None
    component_id: str | None
    name: str | None
    deleted_at: datetime
    ends_at: datetime
