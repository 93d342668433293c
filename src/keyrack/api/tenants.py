"""`/v2/permissions`, `/v2/tenants` and the role policy (contract 6.4 and 7)."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.asked import Body, WantedPage, Who
from keyrack.api.jsonapi import END, Many, NewResource, Relationship, SelfLink, Single, Text, link_self, related
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.api.roles import PolicyAttributes, role_entry
from keyrack.model import Tenant
from keyrack.service.installation import first_attributes
from keyrack.service.tenants import NewTenant, Tenants

_DOMAIN = rf"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{{1,5}})?{END}"
Domain = Annotated[
    str, Meta(min_length=1, max_length=253, pattern=_DOMAIN, description="a host name, with a port if it has one")
]


class PermissionsAttributes(msgspec.Struct):
    """Names of permissions."""

    permissions: list[str]


class PermissionsResource(msgspec.Struct):
    """All listed permissions; it has no id (6.4)."""

    attributes: PermissionsAttributes
    id: None = None
    type: Literal["permissions"] = "permissions"


class CreateTenant(NewResource):
    """Data of a create request; `attributes` also takes the optional and look-and-feel members of section 7."""

    type: Literal["tenant"]
    attributes: dict[str, Any]


class CreateTenantBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateTenant


class RequiredTenantAttributes(msgspec.Struct):
    """What every tenant has, and the types of what Keyrack reads."""

    name: Text
    app_domain: Domain
    code: str
    mandrill_email_from: str
    default_workspace_type: Literal["full", "limited"] | UnsetType = UNSET
    feature_flags: dict[str, bool] | UnsetType = UNSET
    api_domain: Domain | UnsetType = UNSET
    webhooks_domain: Domain | UnsetType = UNSET
    git_receiver_host: Domain | UnsetType = UNSET
    api_docs_url: str | UnsetType = UNSET
    flow_stats_enabled_default: bool | UnsetType = UNSET
    support_user_id: str | UnsetType = UNSET
    email_domains_blacklist: list[str] | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


class TenantToCheck(msgspec.Struct):
    """A create request with the attributes that are checked."""

    type: Literal["tenant"]
    attributes: RequiredTenantAttributes


class TenantBodyToCheck(msgspec.Struct):
    """Body of a create request with the attributes that are checked."""

    data: TenantToCheck


class TenantResource(msgspec.Struct):
    """A tenant; optional attributes are echoed as submitted."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    type: Literal["tenant"] = "tenant"


class PolicyRelationships(msgspec.Struct):
    """Whose policy it is."""

    tenant: Relationship


class PolicyResource(msgspec.Struct):
    """A tenant's role policy."""

    id: str
    attributes: PolicyAttributes
    relationships: PolicyRelationships
    type: Literal["tenant-policy"] = "tenant-policy"


@get("/v2/permissions", tags=["Roles"], responses=Refusals.of(403))
async def permissions(who: Who, tenants: NamedDependency[Tenants]) -> Single[PermissionsResource]:
    """List the permissions that roles can be made of."""
    return Single(PermissionsResource(PermissionsAttributes(list(tenants.permissions(who)))))


class TenantController(Controller):
    """Tenants."""

    path = "/v2/tenants"
    tags = ["Tenants"]  # noqa: RUF012 - the framework's own way to set it

    @post(status_code=201, responses=Refusals.of(400, 403, 409, body=True))
    async def create(
        self, data: Body[CreateTenantBody], who: Who, tenants: NamedDependency[Tenants]
    ) -> Single[TenantResource]:
        """Create a tenant."""

        def command() -> NewTenant:
            body = data.check().data
            submitted = body.attributes
            checked = data.checked_as(TenantBodyToCheck).data.attributes
            given = {name: value for name, value in submitted.items() if name not in ("name", "app_domain")}
            attributes = first_attributes() | given
            flags: Any = first_attributes()["feature_flags"]
            attributes["feature_flags"] = {**flags, **given.get("feature_flags", {})}
            return NewTenant(checked.name, checked.app_domain, attributes, body.given_id)

        return Single(_resource(await tenants.create(who, command)))

    @get(responses=Refusals.of(400, 403))
    async def list_all(self, who: Who, tenants: NamedDependency[Tenants], page: WantedPage) -> Many[TenantResource]:
        """List the caller's tenants."""
        found = await tenants.list(who)
        return Many([_resource(tenant) for tenant in page.cut(found)], page.meta(len(found)))

    @get("/{tenant_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(self, tenant_id: PATH_ID, who: Who, tenants: NamedDependency[Tenants]) -> Single[TenantResource]:
        """Return one tenant."""
        return Single(_resource(await tenants.get(who, tenant_id)))

    @get("/{tenant_id:str}/roles", responses=Refusals.of(403, 404))
    async def roles(self, tenant_id: PATH_ID, who: Who, tenants: NamedDependency[Tenants]) -> Single[PolicyResource]:
        """Return a tenant's role policy."""
        policy = await tenants.roles(who, tenant_id)
        shown = [role_entry(role) for role in policy if role.scope != "tenants"]
        relationships = PolicyRelationships(related("tenant", "/v2/tenants", tenant_id))
        resource = PolicyResource(tenant_id, PolicyAttributes(shown), relationships)
        return Single(resource, links=link_self(f"/v2/tenants/{tenant_id}/roles"))


def _resource(tenant: Tenant) -> TenantResource:
    attributes = {**tenant.attributes, "name": tenant.name, "app_domain": tenant.app_domain}
    return TenantResource(tenant.id, link_self(f"/v2/tenants/{tenant.id}"), attributes)
