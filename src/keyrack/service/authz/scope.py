"""Determines a caller's permissions at a place (contract sections 3, 5 and 6)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from keyrack.errors import ContractSuspended, Forbidden
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.permissions import TENANT_ADMIN
from keyrack.service.authz.task_users import PERMISSIONS, TaskUserAccess, is_task_user
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.standings import Standing, Standings

_REMEMBERED = 1024


@dataclass(slots=True)
class Scope:
    """A unit of work at a place, with what the caller may do there.

    Attributes:
        unit: bound to the place's tenant.
        who: the caller.
        place: where we are.
        permissions: what holds here: of roles held at this place and above.
        is_tenant_admin: the caller holds the role `tenant-admin` (contract section 2).
        in_contract: the caller is a member of the contract (or a service account that reaches contracts).
        in_workspace: the caller is a member of the workspace (or a service account that reaches workspaces).
        targets: what the operation acts on, for the audit log.
        closed: the contract is suspended, and the operation is one that then is refused (section 9). It is refused to
            those who have shown that they may do it; others learn nothing of the contract's state.
        writes: the unit is one transaction; in one that only reads, nothing can be locked.
        standing: a user's roles at this place; None for others.
    """

    unit: Unit
    who: Principal
    place: Location
    permissions: frozenset[str]
    is_tenant_admin: bool = False
    in_contract: bool = False
    in_workspace: bool = False
    targets: list[tuple[str, str | None]] = field(default_factory=list)
    closed: bool = False
    writes: bool = False
    standing: Standing | None = None

    def allows(self, *permissions: str) -> bool:
        """Tell whether the caller holds one of the permissions here."""
        return not self.permissions.isdisjoint(permissions)

    def require(self, *permissions: str) -> None:
        """Insist on one of the permissions.

        Raises:
            Forbidden: the caller holds none of them here.
            ContractSuspended: it does, but the contract is suspended.
        """
        if not self.allows(*permissions):
            refusal = Forbidden(f"this needs the permission {' or '.join(permissions)}")
            refusal.permission = permissions[0]
            raise refusal
        self.require_open()

    def require_edits(self, permissions: Mapping[str, str], named: Collection[str]) -> None:
        """Insist on the permission of each attribute that is to be changed, and on one of them if none is.

        Args:
            permissions: by attribute.
            named: the attributes in the request.

        Raises:
            Forbidden: the caller lacks one.
            ContractSuspended: it does not, but the contract is suspended.
        """
        self.require(*permissions.values())
        for name, permission in permissions.items():
            if name in named:
                self.require(permission)

    def require_that(self, condition: bool, reason: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Insist on a standing that is not a permission, such as membership.

        Raises:
            Forbidden: the condition does not hold.
            ContractSuspended: it does, but the contract is suspended.
        """
        if not condition:
            raise Forbidden(reason)
        self.require_open()

    def require_open(self) -> None:
        """Insist that the contract is not suspended, or the operation one that goes on all the same.

        Raises:
            ContractSuspended: neither is so.
        """
        if self.closed:
            raise ContractSuspended

    def audit_target(self, target_type: str, target_id: str | None) -> None:
        """Name what the operation acts on, for the audit log."""
        self.targets.append((target_type, target_id))


async def scope_of(
    unit: Unit, who: Principal, place: Location, door: TaskUserAccess | None, known: Standing | None = None
) -> Scope:
    """Find out what a caller may do at a place.

    Args:
        unit: of the place's tenant.
        who: the caller.
        place: where it is.
        door: given if the operation is open to task users.
        known: the standing of a user at the place, if it was read with the place.

    Raises:
        Forbidden: the caller is not of this tenant.
    """
    if is_task_user(who):
        return _task_scope(unit, who, place, door)
    if who.kind in (PrincipalKind.service_account, PrincipalKind.system):
        return _service_scope(unit, who, place)
    standing = known or await Standings(unit).of(who.id, place)
    if standing is None:
        raise Forbidden
    roles = standing.roles
    return Scope(
        unit,
        who,
        place,
        _permissions(standing),
        is_tenant_admin=TENANT_ADMIN in roles.tenant,
        in_contract=roles.contract is not None,
        in_workspace=roles.workspace is not None,
        standing=standing,
    )


def _permissions(standing: Standing) -> frozenset[str]:
    """Return what the roles give; contract roles give nothing inside workspaces (contract 6.3)."""
    return frozenset().union(
        *(_of_contracts(held) if level == "contracts" else held for (level, _), held in standing.policy.items())
    )


@lru_cache(_REMEMBERED)
def _of_contracts(permissions: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in permissions if not name.startswith("workspaces."))


async def contracts_granting(scope: Scope, permission: str) -> frozenset[str]:
    """Return the contracts of which the caller is a member and in which a role of the caller holds a permission.

    Args:
        scope: at the caller's tenant.
        permission: of the class `contracts`.
    """
    standing = RoleAssignments(scope.unit)
    if scope.allows(permission):
        return await standing.contracts_of(scope.who.id)
    policy = await standing.policy()
    return frozenset(
        held.place.contract_id
        for held in await standing.everywhere(scope.who.id)
        if held.place.contract_id is not None
        and held.place.workspace_id is None
        and any(permission in policy.get(("contracts", role), ()) for role in held.roles)
    )


def _task_scope(unit: Unit, who: Principal, place: Location, door: TaskUserAccess | None) -> Scope:
    """A task user reaches its workspace, and the contract around it, as far as the operation is open to it."""
    mine = place.workspace_id is not None and place.workspace_id == who.workspace_id
    around = place.workspace_id is None and place.contract_id is not None and place.contract_id == who.contract_id
    inside = door.permissions if door is not None else frozenset()
    return Scope(
        unit,
        who,
        place,
        PERMISSIONS | inside if mine else frozenset(),
        in_contract=around and door is not None,
        in_workspace=mine and door is not None,
    )


def _service_scope(unit: Unit, who: Principal, place: Location) -> Scope:
    """A service account reaches a level if it holds any permission of that level (contract section 2)."""
    families = {name.partition(".")[0] for name in who.permissions}
    return Scope(
        unit,
        who,
        place,
        who.permissions,
        in_contract="contracts" in families or "global.contract.contract.list_all" in who.permissions,
        in_workspace="workspaces" in families or "global.workspace.get_all" in who.permissions,
    )
