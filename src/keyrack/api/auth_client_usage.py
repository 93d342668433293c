"""Documents that tell what hangs on an auth client (extension, 0.15)."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from keyrack.service.clients.auth_client_usage import AuthClientUsage


class FlowOfClient(msgspec.Struct):
    """A flow whose current graph names a connection of the client."""

    id: str
    name: str
    status: str


class WorkspaceOfClient(msgspec.Struct):
    """A workspace with connections of the client."""

    id: str
    name: str
    secrets: int
    secrets_in_error: int


class RuleOfProvider(msgspec.Struct):
    """What changed at the provider on a day, and how many connections were made before it and are concerned."""

    since: str
    says: str
    connections: int
    documentation: str | UnsetType = UNSET


class AuthClientUsageAttributes(msgspec.Struct):
    """The blast radius of an auth client.

    Lists have what the caller may know of: the 25 workspaces with most secrets, and the first 100 flows. Of a client
    with more than 10 000 secrets all numbers are of the first 10 000, and `complete` is false.
    """

    secrets: int
    secrets_in_error: int
    consents: int
    workspace_count: int
    user_count: int
    workspaces: list[WorkspaceOfClient]
    flow_count: int
    flows: list[FlowOfClient]
    complete: bool
    provider_rules: list[RuleOfProvider]


class AuthClientUsageResource(msgspec.Struct):
    """What hangs on an auth client."""

    id: str
    attributes: AuthClientUsageAttributes
    type: Literal["auth-client-usage"] = "auth-client-usage"


FLOWS = 100
"""How many flows are listed."""


def auth_client_usage_resource(auth_client_id: str, usage: AuthClientUsage) -> AuthClientUsageResource:
    """Return a client's usage as a resource."""
    attributes = AuthClientUsageAttributes(
        secrets=usage.secrets,
        secrets_in_error=usage.broken,
        consents=usage.open_consents,
        workspace_count=usage.workspaces,
        user_count=usage.users,
        workspaces=[WorkspaceOfClient(each.id, each.name, each.secrets, each.broken) for each in usage.named],
        flow_count=usage.flows,
        flows=[FlowOfClient(each.flow_id, each.flow_name, each.flow_status.value) for each in usage.known_flows],
        complete=not usage.are_more,
        provider_rules=[
            RuleOfProvider(
                each.rule.since.isoformat(), each.rule.says, each.connections, each.rule.documentation or UNSET
            )
            for each in usage.rules
        ],
    )
    return AuthClientUsageResource(auth_client_id, attributes)
