"""Tenants, contracts, workspaces and teams, with their members."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from keyrack.model import Json
from keyrack.model.identity import User


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


class WorkspaceType(StrEnum):
    """`full` workspaces are production (contract section 5)."""

    full = "full"
    limited = "limited"


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
