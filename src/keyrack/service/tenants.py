"""Tenants and their role policy (contract sections 6.4 and 7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyrack.errors import AlreadyExists, Forbidden, NotFound
from keyrack.model import Json, Principal, Role, Tenant
from keyrack.service.access import Access, Scope
from keyrack.service.given_id import refuse_taken
from keyrack.service.permissions import DEFAULT_ROLES, LISTED
from keyrack.service.task_users import is_task_user
from keyrack.store.tenants import RolePolicy
from keyrack.store.tenants import Tenants as Rows


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What a caller sends to create a tenant."""

    name: str
    app_domain: str
    attributes: Json
    given_id: str | None = None


class Tenants:
    """Use cases of contract section 7."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, new: Callable[[], NewTenant]) -> Tenant:
        """Create a tenant with the default role policy.

        Raises:
            Forbidden: the caller holds no installation-wide `tenants.tenant.create`.
            AlreadyExists: another tenant has the domain, or is the default.
            IdConflict: the body has the id of another tenant.
        """
        async with self._access.installation(who, "tenant.create") as scope:
            scope.require("tenants.tenant.create")
            wanted = new()
            await refuse_taken(scope, "tenant", wanted.given_id)
            if wanted.attributes.get("is_default") and await _has_default(scope):
                pointer = "/data/attributes/is_default"
                raise AlreadyExists("the installation has a default tenant", pointer=pointer)
            try:
                tenant = await Rows(scope.unit).add(wanted.name, wanted.app_domain, wanted.attributes, DEFAULT_ROLES)
            except AlreadyExists:
                pointer = "/data/attributes/app_domain"
                raise AlreadyExists("another tenant has this domain", pointer=pointer) from None
            scope.touched("tenant", tenant.id)
            return tenant

    async def list(self, who: Principal) -> Sequence[Tenant]:
        """List the caller's tenants; a service account sees all."""
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                scope.require("tenants.tenant.get")
                return await Rows(scope.unit).list()
        return [await self.get(who, who.tenant_id)]

    async def get(self, who: Principal, tenant_id: str) -> Tenant:
        """Return a tenant."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.get")
            tenant = await Rows(scope.unit).find(tenant_id)
            if tenant is None:
                raise NotFound
            return tenant

    async def roles(self, who: Principal, tenant_id: str) -> Sequence[Role]:
        """Return a tenant's role policy (6.4)."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.list_roles")
            return await RolePolicy(scope.unit).list()

    @staticmethod
    def permissions(who: Principal) -> Sequence[str]:
        """Return the permissions that roles can be made of (6.4).

        Raises:
            Forbidden: the caller is a task user (section 2).
        """
        if is_task_user(who):
            raise Forbidden
        return LISTED


async def _has_default(scope: Scope) -> bool:
    return any(tenant.attributes.get("is_default") for tenant in await Rows(scope.unit).list())
