"""Tells callers what they may do, so that they are offered nothing else."""

from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access


@dataclass(frozen=True, slots=True)
class OwnAccess:
    """What a caller may do at a place.

    Attributes:
        permissions: that hold there.
        is_member: of the contract or workspace itself, or of the tenant.
        is_tenant_admin: the role `tenant-admin` is held, which a few things ask for beside permissions.
    """

    permissions: frozenset[str]
    is_member: bool
    is_tenant_admin: bool = False

    def allows(self, *permissions: str) -> bool:
        """Tell whether one of the permissions is held."""
        return not self.permissions.isdisjoint(permissions)


class OwnPermissions:
    """Looks up what callers may do; each use case decides again for itself."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def at_home(self, who: Principal) -> OwnAccess:
        """Return what a caller may do in the tenant it belongs to, or, without one, in the installation."""
        if who.tenant_id is None:
            return OwnAccess(who.permissions, is_member=True)
        async with self._access.tenant(who, who.tenant_id) as scope:
            return OwnAccess(scope.permissions, is_member=True, is_tenant_admin=scope.is_tenant_admin)

    async def in_contract(self, who: Principal, contract_id: str) -> OwnAccess:
        """Return what a caller may do in a contract.

        Raises:
            NotFound: there is none.
            Forbidden: it is another tenant's.
        """
        async with self._access.contract(who, contract_id) as scope:
            return OwnAccess(scope.permissions, scope.in_contract, scope.is_tenant_admin)

    async def in_workspace(self, who: Principal, workspace_id: str) -> OwnAccess:
        """Return what a caller may do in a workspace; as `in_contract`."""
        async with self._access.workspace(who, workspace_id) as scope:
            return OwnAccess(scope.permissions, scope.in_workspace, scope.is_tenant_admin)
