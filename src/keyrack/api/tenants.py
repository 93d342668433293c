"""Tenants (contract section 7)."""

from functools import partial
from typing import Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, NewResource, SelfLink, Single, Text, link_self
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.model.tenancy import Tenant
from keyrack.service.tenancy.tenants import NewTenant, TenantChanges, Tenants
from keyrack.validation.fields import Domain, TenantOptions
from keyrack.validation.unvalidated import Unvalidated


class CreateTenant(NewResource):
    """Data of a create request; `attributes` also takes the optional and look-and-feel members of section 7."""

    type: Literal["tenant"]
    attributes: dict[str, Any]


class CreateTenantBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateTenant


class RequiredTenantAttributes(TenantOptions, kw_only=True):
    """What every tenant has, and the types of what Keyrack reads."""

    name: Text
    app_domain: Domain
    code: str
    mandrill_email_from: str


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


class ChangeTenant(msgspec.Struct):
    """Data of a change; no attribute is required, `null` unsets one, and feature flags are changed one by one."""

    attributes: dict[str, Any] | UnsetType = UNSET
    type: Literal["tenant"] | UnsetType = UNSET
    id: str | UnsetType = UNSET


class ChangeTenantBody(msgspec.Struct):
    """Body of a change."""

    data: ChangeTenant


class TenantAttributeChanges(msgspec.Struct):
    """What every tenant has cannot be unset; the types of what Keyrack reads."""

    name: Text | UnsetType = UNSET
    app_domain: Domain | UnsetType = UNSET
    code: str | UnsetType = UNSET
    mandrill_email_from: str | UnsetType = UNSET
    default_workspace_type: Literal["full", "limited"] | UnsetType | None = UNSET
    feature_flags: dict[str, bool | None] | UnsetType | None = UNSET
    api_domain: Domain | UnsetType | None = UNSET
    webhooks_domain: Domain | UnsetType | None = UNSET
    git_receiver_host: Domain | UnsetType | None = UNSET
    api_docs_url: str | UnsetType | None = UNSET
    flow_stats_enabled_default: bool | UnsetType | None = UNSET
    support_user_id: str | UnsetType | None = UNSET
    email_domains_blacklist: list[str] | UnsetType | None = UNSET
    is_default: bool | UnsetType | None = UNSET


class ChangeToCheck(msgspec.Struct):
    """A change with the attributes that are checked."""

    attributes: TenantAttributeChanges | UnsetType = UNSET
    type: Literal["tenant"] | UnsetType = UNSET


class ChangeBodyToCheck(msgspec.Struct):
    """Body of a change with the attributes that are checked."""

    data: ChangeToCheck


class TenantController(Controller):
    """Tenants."""

    path = "/v2/tenants"
    tags = ("Tenants",)

    @post(status_code=201, responses=Refusals.of(400, 403, 409, body=True))
    async def create(
        self, data: Body[CreateTenantBody], who: Who, tenants: NamedDependency[Tenants]
    ) -> Single[TenantResource]:
        """Create a tenant."""

        def command() -> NewTenant:
            body = data.validated().data
            checked = data.validated_as(TenantBodyToCheck).data.attributes
            return NewTenant(checked.name, checked.app_domain, _others(body.attributes), body.given_id)

        return Single(_resource(await tenants.create(who, Unvalidated(command))))

    @get(responses=Refusals.of(400, 403))
    async def list_all(self, who: Who, tenants: NamedDependency[Tenants], page: WantedPage) -> Many[TenantResource]:
        """List the caller's tenants."""
        return await read_list(page, partial(tenants.list, who), _resource, whole=tenants.whole)

    @get("/{tenant_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(self, tenant_id: PATH_ID, who: Who, tenants: NamedDependency[Tenants]) -> Single[TenantResource]:
        """Return one tenant."""
        return Single(_resource(await tenants.get(who, tenant_id)))

    @patch("/{tenant_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self, tenant_id: PATH_ID, data: Body[ChangeTenantBody], who: Who, tenants: NamedDependency[Tenants]
    ) -> Single[TenantResource]:
        """Change a tenant; omitted attributes keep their values."""

        def changes() -> TenantChanges:
            body = data.validated().data
            require_id(body.id, tenant_id)
            checked = data.validated_as(ChangeBodyToCheck).data.attributes
            if body.attributes is UNSET or checked is UNSET:
                return TenantChanges()
            return TenantChanges(or_none(checked.name), or_none(checked.app_domain), _others(body.attributes))

        return Single(_resource(await tenants.change(who, tenant_id, Unvalidated(changes))))

    @delete("/{tenant_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, tenant_id: PATH_ID, who: Who, tenants: NamedDependency[Tenants]) -> None:
        """Delete a tenant without contracts, with its users, clients, webhooks and keys."""
        await tenants.remove(who, tenant_id)


def _others(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that have no place of their own."""
    return {name: value for name, value in attributes.items() if name not in ("name", "app_domain")}


def _resource(tenant: Tenant) -> TenantResource:
    attributes = {**tenant.attributes, "name": tenant.name, "app_domain": tenant.app_domain}
    return TenantResource(tenant.id, link_self(f"/v2/tenants/{tenant.id}"), attributes)
