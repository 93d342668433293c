"""Permissions, role policies and the roles of a tenant's users (contract 6.4)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Relationship, Single, Text, link_self, related
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.model.tenancy import Role
from keyrack.service.tenancy.roles import Roles, WantedRole


class PermissionsAttributes(msgspec.Struct):
    """Names of permissions."""

    permissions: list[str]


class PermissionsResource(msgspec.Struct):
    """All listed permissions; it has no id (6.4)."""

    attributes: PermissionsAttributes
    id: None = None
    type: Literal["permissions"] = "permissions"


class RoleEntry(msgspec.Struct):
    """A role of the policy."""

    role: str
    scope: str
    permissions: list[str]
    i18n: dict[str, str]


class PolicyAttributes(msgspec.Struct):
    """The roles."""

    roles: list[RoleEntry]


class PolicyRelationships(msgspec.Struct):
    """Whose policy it is."""

    tenant: Relationship


class PolicyResource(msgspec.Struct):
    """A tenant's role policy."""

    id: str
    attributes: PolicyAttributes
    relationships: PolicyRelationships
    type: Literal["tenant-policy"] = "tenant-policy"


class NewRoleEntry(msgspec.Struct):
    """A role to be; titles (`i18n`) have at least the English one, and may be left out."""

    role: Text
    scope: Literal["contracts", "workspaces", "tenants"]
    permissions: list[str]
    i18n: dict[str, Text] | UnsetType = UNSET


class NewPolicyAttributes(msgspec.Struct):
    """All roles that the policy is to have; `owner` of contracts and of workspaces are in it by themselves."""

    roles: Annotated[list[NewRoleEntry], Meta(max_length=500, description="at most 500 roles")]


class ReplacePolicy(msgspec.Struct):
    """Data of a new policy."""

    type: Literal["tenant-policy"]
    attributes: NewPolicyAttributes
    id: str | UnsetType = UNSET


class ReplacePolicyBody(msgspec.Struct):
    """Body with a new policy."""

    data: ReplacePolicy


class TenantMemberAttributes(msgspec.Struct):
    """Roles that a user holds in the tenant itself."""

    roles: list[str]


class TenantMemberRoles(msgspec.Struct):
    """Roles that a user is to hold in the tenant itself; none to revoke them."""

    roles: list[Text]


class ChangeTenantMember(msgspec.Struct):
    """Data with new roles of a user."""

    type: Literal["tenant-member"]
    attributes: TenantMemberRoles
    id: str | UnsetType = UNSET


class ChangeTenantMemberBody(msgspec.Struct):
    """Body with new roles of a user."""

    data: ChangeTenantMember


class TenantMemberRelationships(msgspec.Struct):
    """Who, and where."""

    user: Relationship
    tenant: Relationship


class TenantMemberResource(msgspec.Struct):
    """A user as a member of the tenant."""

    id: str
    attributes: TenantMemberAttributes
    relationships: TenantMemberRelationships
    type: Literal["tenant-member"] = "tenant-member"


@get("/v2/permissions", tags=["Roles"], responses=Refusals.of(403))
async def permissions(who: Who, roles: NamedDependency[Roles]) -> Single[PermissionsResource]:
    """List the permissions that roles can be made of."""
    return Single(PermissionsResource(PermissionsAttributes(list(roles.permissions(who)))))


class TenantRoleController(Controller):
    """The role policy of a tenant, and who holds its roles in the tenant itself."""

    path = "/v2/tenants/{tenant_id:str}"
    tags = ("Roles",)

    @get("/roles", responses=Refusals.of(403, 404))
    async def policy(self, tenant_id: PATH_ID, who: Who, roles: NamedDependency[Roles]) -> Single[PolicyResource]:
        """Return a tenant's role policy."""
        return _policy(tenant_id, await roles.policy(who, tenant_id))

    @patch("/roles", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def replace(
        self, tenant_id: PATH_ID, data: Body[ReplacePolicyBody], who: Who, roles: NamedDependency[Roles]
    ) -> Single[PolicyResource]:
        """Replace a tenant's role policy; a role that is in use must be sent again."""
        wanted = data.then(lambda body: _wanted(body, tenant_id))
        return _policy(tenant_id, await roles.replace(who, tenant_id, wanted))

    @patch("/members/{user_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def give(
        self,
        tenant_id: PATH_ID,
        user_id: PATH_ID,
        data: Body[ChangeTenantMemberBody],
        who: Who,
        roles: NamedDependency[Roles],
    ) -> Single[TenantMemberResource]:
        """Grant or revoke `tenant-admin` and other roles of the scope `tenants`."""
        held = await roles.give(who, tenant_id, user_id, data.then(lambda body: _given(body, user_id)))
        relationships = TenantMemberRelationships(
            related("user", "/v2/users", user_id), related("tenant", "/v2/tenants", tenant_id)
        )
        return Single(TenantMemberResource(user_id, TenantMemberAttributes(list(held)), relationships))


def role_entry(role: Role) -> RoleEntry:
    """Build a policy's entry."""
    return RoleEntry(role.role, role.scope, sorted(role.permissions), dict(role.i18n))


def _policy(tenant_id: str, policy: Sequence[Role]) -> Single[PolicyResource]:
    relationships = PolicyRelationships(related("tenant", "/v2/tenants", tenant_id))
    attributes = PolicyAttributes([role_entry(role) for role in policy])
    return Single(
        PolicyResource(tenant_id, attributes, relationships), links=link_self(f"/v2/tenants/{tenant_id}/roles")
    )


def _wanted(body: ReplacePolicyBody, tenant_id: str) -> Sequence[WantedRole]:
    require_id(body.data.id, tenant_id)
    return [
        WantedRole(each.scope, each.role, each.permissions, or_none(each.i18n)) for each in body.data.attributes.roles
    ]


def _given(body: ChangeTenantMemberBody, user_id: str) -> tuple[str, ...]:
    require_id(body.data.id, user_id)
    return tuple(dict.fromkeys(body.data.attributes.roles))
