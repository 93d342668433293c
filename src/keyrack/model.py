"""The nouns of Keyrack as plain frozen values, shared by every level."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from keyrack.crypto.secret import Secret

Json = dict[str, Any]


class PrincipalKind(StrEnum):
    """What kind of identity is calling (contract section 2)."""

    user = "user"
    service_account = "service_account"
    task_user = "task_user"
    system = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and from where.

    Attributes:
        kind: the kind of identity.
        id: its id.
        name: email or user name, as the audit log shows it.
        tenant_id: the home tenant of a user, the tenant of a task user's flow; None for a service account.
        permissions: the explicit, installation-wide permissions of a service account; empty for others.
        address: where the request came from, if it came over the network.
        request_id: the request it came with.
        contract_id: the contract of a task user's flow; None for others.
        workspace_id: the workspace of a task user's flow; None for others.
    """

    kind: PrincipalKind
    id: str
    name: str
    tenant_id: str | None = None
    permissions: frozenset[str] = frozenset()
    address: str | None = None
    request_id: str | None = None
    contract_id: str | None = None
    workspace_id: str | None = None


class Access(StrEnum):
    """Who can use a component in flows (contract section 5), from narrow to wide."""

    team = "team"
    tenant = "tenant"
    everyone = "global"

    @property
    def width(self) -> int:
        """A number that grows with reach; access may only be raised through the API."""
        return list(Access).index(self)


class WorkspaceType(StrEnum):
    """`full` workspaces are production (contract section 5)."""

    full = "full"
    limited = "limited"


class FlowStatus(StrEnum):
    """Wanted and actual state of a flow (contract section 17)."""

    active = "active"
    inactive = "inactive"
    suspended = "suspended"


class ConsentStatus(StrEnum):
    """How far a running authorization has come (contract section 20)."""

    pending = "pending"
    exchanging = "exchanging"
    completed = "completed"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the platform, with users, contracts and OAuth clients of its own."""

    id: str
    name: str
    app_domain: str
    attributes: Json
    """All other attributes as submitted, with defaults filled in (contract section 7)."""
    created_at: datetime
    left_out: int = 0

    def whitelists_in(self, workspace: "Workspace") -> bool:
        """Tell whether a workspace of the tenant has only whitelisted components of other contracts (section 5).

        A full one, if the tenant has the flag (`whitelist_flag` in the contract).
        """
        flag = self.attributes.get("feature_flags", {}).get("contract_component_whitelist")
        return bool(flag) and workspace.type is WorkspaceType.full


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions of a tenant's role policy (contract section 6.3)."""

    scope: str
    role: str
    permissions: frozenset[str]
    i18n: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class User:
    """A person. The email is unique in the installation, without regard to case (contract section 2)."""

    id: str
    tenant_id: str
    email: str
    first_name: str
    last_name: str
    company: str | None
    registered: datetime
    last_login: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a contract or workspace, with roles."""

    user: User
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkspaceInvite:
    """What an invite offers in a workspace of its contract."""

    id: str
    """of the workspace"""
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invite:
    """The offer to whoever has an email to become a member of a contract (contract section 9)."""

    id: str
    tenant_id: str
    contract_id: str
    email: str
    roles: tuple[str, ...]
    workspace: WorkspaceInvite | None = None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An installation-wide identity with an explicit list of permissions (contract section 2)."""

    id: str
    username: str
    permissions: frozenset[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A named API key of a user or service account; the key itself is only known to its holder."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A part of a tenant, with members, workspaces, teams and components."""

    id: str
    tenant_id: str
    name: str
    status: str
    available_roles: tuple[tuple[str, str], ...]
    """(scope, role) pairs; empty means all roles of the tenant."""
    attributes: Json
    custom_data: Any = None
    """Only where a contract is imported: up to 1 MB is read where it is shown, and never decoded."""
    has_custom_data: bool = False
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where flows and credentials live; part of a contract."""

    id: str
    tenant_id: str
    contract_id: str
    name: str
    type: WorkspaceType
    attributes: Json


@dataclass(frozen=True, slots=True)
class Team:
    """Owns component repositories of a contract."""

    id: str
    tenant_id: str
    contract_id: str
    name: str
    user_ids: tuple[str, ...]
    component_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A successful build of a component: a revision and its descriptor (component.json)."""

    revision: str
    component_id: str
    number: int
    created_at: datetime
    descriptor: Json = field(repr=False)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """A connector. `tenant_id` is that of the owner; a global component is seen by every tenant."""

    id: str
    tenant_id: str
    contract_id: str
    team_id: str
    team_name: str
    name: str
    access: Access
    whitelisted_contract_ids: tuple[str, ...]
    attributes: Json
    latest: Version | None
    uses_oauth_client: bool
    """Whether the latest build asks for the tenant's OAuth client (contract section 5)."""

    @property
    def left_out(self) -> int:
        """Bytes of the latest build's descriptor, if a list has left it out for now."""
        return 0 if self.latest is None else self.latest.left_out


def uses_oauth_client(descriptor: Json) -> bool:
    """Tell whether a descriptor says `useOAuthClient: true`, at top level or in `credentials` (contract 19.1)."""
    inner = descriptor.get("credentials")
    return descriptor.get("useOAuthClient") is True or (isinstance(inner, dict) and inner.get("useOAuthClient") is True)


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
    damaged: bool = False
    """What is stored encrypted cannot be opened; in a list only, where it is left out."""


@dataclass(frozen=True, slots=True)
class Credential:
    """First-generation credentials: the values of a component's credential fields (contract section 16)."""

    id: str
    tenant_id: str
    workspace_id: str
    component_id: str
    user_id: str
    name: str
    keys: Json = field(repr=False)
    damaged: bool = False
    """What is stored encrypted cannot be opened; in a list only, where it is left out."""
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Consent:
    """A running authorization (contract section 20). `memory` is what the callback needs, encrypted at rest.

    It names a component (first generation) or an auth client, then optionally also a component (second generation).
    """

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    component_id: str | None
    credential_id: str | None
    status: ConsentStatus
    error: str | None
    result_id: str | None
    created_at: datetime
    expires_at: datetime
    memory: Json = field(repr=False)
    auth_client_id: str | None = None
    auth_secret_id: str | None = None
    bound: bool = False
    """Whether only a browser that was on our own page before may finish it (contract 0.23)."""
    browser_hash: str | None = None
    """The browser that is bound, or that came back first."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A graph of steps in a workspace (contract section 17)."""

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    name: str
    type: str
    status: FlowStatus
    current_status: FlowStatus
    graph: Json
    attributes: Json
    """description, cron, default_mapper_type, stats_enabled, nodes_config: whichever were given."""
    draft: Json | None
    latest_version: str
    created_at: datetime
    updated_at: datetime
    last_start_time: datetime | None
    last_stop_time: datetime | None
    left_out: int = 0
    """Bytes of what a list has left out for now (`store.core.large_columns`), here graph and attributes; else 0."""
    graph_text: bytes | None = field(default=None, repr=False)
    """The graph as JSON text, where it was left out; `graph` is then empty."""


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A stored version of a flow's graph."""

    hash: str
    tenant_id: str
    flow_id: str
    graph: Json
    user_id: str
    created_at: datetime
    left_out: int = 0
    graph_text: bytes | None = field(default=None, repr=False)


FlowPlace = Literal["graph", "draft", "versions"]
"""Where a flow names what it uses: in its current graph, its draft or old versions."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A flow that names a component, and where (contract 0.1)."""

    flow_id: str
    flow_name: str
    flow_status: FlowStatus
    workspace_id: str
    places: tuple[FlowPlace, ...]

    @property
    def is_current(self) -> bool:
        """Whether it names it now, and not only in old versions."""
        return "graph" in self.places or "draft" in self.places


@dataclass(frozen=True, slots=True)
class Usage:
    """The blast radius of an OAuth client (contract 0.15)."""

    flows: tuple[Reference, ...]
    credentials: int
    workspaces: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what, when, and whether it was allowed (contract 0.16)."""

    id: str
    at: datetime
    actor: str
    actor_kind: PrincipalKind
    action: str
    target_type: str
    target_id: str | None
    outcome: str
    address: str | None
    request_id: str | None
