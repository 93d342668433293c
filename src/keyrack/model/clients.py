"""OAuth clients of both generations."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.rotations import SecretRotation


@dataclass(frozen=True, slots=True)
class SecretExpiry:
    """When a client's secret ends at the provider, as somebody has said (decision 27)."""

    at: datetime | None = None
    """None: nobody has said."""
    remind_at: datetime | None = None
    """When it is told next; None when there is nothing more to tell."""


NO_EXPIRY = SecretExpiry()


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which clients of a list are wanted; None: whatever they have."""

    component_id: str | None = None
    """Those for a component, or linked to it."""
    secret_expires_before: datetime | None = None
    named: str = ""
    """What their name has in it, whatever the case of letters; of auth clients only."""


ANY_CLIENT = ClientFilter()


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A tenant's own client at a provider, for one component (contract section 8).

    `client_secret` is empty for a public client; `client_auth` is None where the descriptor decides (contract 0.23).
    """

    id: str
    tenant_id: str
    component_id: str
    client_id: str
    client_secret: Secret
    created_at: datetime
    updated_at: datetime
    client_auth: str | None = None
    expiry: SecretExpiry = NO_EXPIRY
    damaged: bool = False
    """What is stored encrypted cannot be opened; in a list only, where it is left out."""
    left_out: int = 0
    """Bytes of id and secret, if a list has left them out for now."""
    second_secret: Secret | None = None
    """The other secret that is live while the client's secret is rotated."""
    rotation: SecretRotation | None = None


@dataclass(frozen=True, slots=True)
class EndingOAuthClient:
    """A client whose secret ends, without its values."""

    id: str
    component_id: str
    secret_expires_at: datetime


@dataclass(frozen=True, slots=True)
class AuthClient:
    """The application side of a connection: id, secret and URIs at a provider (contract section 14).

    At most one of `contract_id` and `workspace_id` is given; with neither it is a tenant's, and global when `tenant_id`
    is empty too.
    """

    id: str
    tenant_id: str
    """Of the tenant it belongs to; empty for a global client."""
    contract_id: str | None
    workspace_id: str | None
    name: str
    type: str
    credentials: Json = field(repr=False)
    """As submitted (contract section 14); secret."""
    component_ids: tuple[str, ...] = ()
    learned_lifetime: int | None = None
    """Seconds its tokens lived when the provider did not say (contract 0.14); believed for a time, see `lifetimes`."""
    learned_at: datetime | None = None
    """When a token last ended so early."""
    rejected_at: datetime | None = None
    """Since when the provider rejects the client itself; its secrets wait until it is changed (contract 0.13)."""
    rejection: Json | None = None
    """What the provider said when it rejected the client; without `rejected_at`, what is suspected only."""
    probe_at: datetime | None = None
    """Until a client that was rejected works again: when it may be tried by an explicit refresh."""
    updated_at: datetime | None = None
    expiry: SecretExpiry = NO_EXPIRY
    mcp_server: str | None = None
    """Address of the MCP server that a new one is made for, the only one of its workspace; not read back."""
    damaged: bool = False
    """What is stored encrypted cannot be opened; in a list only, where it is left out."""
    left_out: int = 0
    """Bytes of the credentials, if a list has left them out for now."""
    second_secret: Secret | None = None
    """The other secret that is live while the client's secret is rotated."""
    rotation: SecretRotation | None = None


AuthClientScope = Literal["global", "tenant", "contract", "workspace"]
"""Where a client belongs (contract section 14)."""


@dataclass(frozen=True, slots=True)
class AuthClientFilter:
    """Which clients of a list are wanted; None and empty texts narrow nothing.

    Attributes:
        search: what the name must have in it, whatever the case of letters, or the id.
        type: the type.
        scope: where it belongs.
        component_id: a component that it is linked to.
        rejected: only those that their provider rejects.
        secret_expires_before: only those whose secret ends before; the list is then in the order of that.
    """

    search: str = ""
    type: str = ""
    scope: AuthClientScope | None = None
    component_id: str | None = None
    rejected: bool = False
    secret_expires_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedAuthClient:
    """A client as such a list shows it, without its credentials.

    Attributes:
        id: its id.
        tenant_id: whose it is; empty for a global one.
        contract_id: the contract that it, or its workspace, belongs to.
        workspace_id: the workspace that it belongs to.
        place_name: the name of its workspace or contract.
        name: its name.
        type: its type.
        components: how many components it is linked to.
        rejected_at: since when its provider rejects it.
        rejection: what the provider said.
        secret_expires_at: when its secret ends, if somebody has said.
    """

    id: str
    tenant_id: str
    contract_id: str | None
    workspace_id: str | None
    place_name: str | None
    name: str
    type: str
    components: int
    rejected_at: datetime | None
    rejection: Json | None = field(repr=False)
    secret_expires_at: datetime | None

    @property
    def scope(self) -> AuthClientScope:
        """Where it belongs."""
        if not self.tenant_id:
            return "global"
        if self.workspace_id is not None:
            return "workspace"
        return "tenant" if self.contract_id is None else "contract"


OAUTH2_TYPES = frozenset({"oauth2", "oauth2_instagram"})
"""Types of auth clients whose secrets hold tokens (contract section 14)."""


def is_oauth2(kind: str) -> bool:
    """Tell whether secrets of a type hold OAuth 2.0 tokens."""
    return kind in OAUTH2_TYPES
