"""Authorises operations on auth clients (contract 6.2): a permission counts where its role is held.

Both generations of permissions count: `<scope>.auth_clients.<action>` for scopes of one kind, and
`global.auth_clients.<action>` for every scope within reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.service.authz.access import Scope
from keyrack.service.authz.task_users import PERMISSIONS, is_task_user, own_place
from keyrack.store.auth_client_list import KnownScopes
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from keyrack.store.role_assignments import RoleAssignments

GLOBAL = Location(INSTALLATION)
"""The scope of global clients, which encloses all others."""

_LEVELS = ("global", "tenants", "contracts", "workspaces")
_ANY_SCOPE = "global"
_TENANT, _CONTRACT, _WORKSPACE = range(1, len(_LEVELS))


@dataclass(frozen=True, slots=True)
class ScopedPermissions:
    """Permissions, and the place where the role (or the service account) that has them is held."""

    place: Location
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class AuthClientPermissions:
    """What a caller may do to auth clients, anywhere in the installation.

    Attributes:
        grants: everything the caller holds.
        sees_keys: false for those who never see the credentials of a client (task users, contract 14.1).
    """

    grants: Sequence[ScopedPermissions]
    sees_keys: bool = True

    def allows(self, action: str, place: Location) -> bool:
        """Tell whether the caller may do something to the clients of a scope.

        Args:
            action: `get`, `create`, `edit` or `delete`.
            place: the scope: the installation, a tenant, a contract or a workspace.
        """
        wanted = {f"{family}.auth_clients.{action}" for family in (_LEVELS[_depth(place)], _ANY_SCOPE)}
        return any(_encloses(grant.place, place) and not wanted.isdisjoint(grant.permissions) for grant in self.grants)

    def shows_keys(self, place: Location) -> bool:
        """Tell whether the caller sees the credentials of the clients of a scope: only with the permission there."""
        return self.sees_keys and self.allows("get", place)

    def knows(self, place: Location) -> bool:
        """Tell whether the caller sees the clients of a scope from anywhere: from there or from a place inside."""
        return any(self._knows(grant, place) for grant in self.grants)

    def known_scopes(self, tenant_id: str) -> KnownScopes:
        """Return all scopes of a tenant, and whether the global one, whose clients the caller `knows`.

        Args:
            tenant_id: the caller's own; that of the installation for who has none.
        """
        gets = [(grant.place, _gets(grant.permissions)) for grant in self.grants]
        in_tenant = [kinds for place, kinds in gets if _depth(place) == _TENANT]
        in_contracts = [(place, kinds) for place, kinds in gets if _depth(place) == _CONTRACT]
        in_workspaces = [place for place, kinds in gets if _depth(place) > _CONTRACT and _WORKSPACE in kinds]
        return KnownScopes(
            everyones=self.knows(GLOBAL),
            tenants=tenant_id != INSTALLATION and self.knows(Location(tenant_id)),
            all_contracts=any(max(kinds, default=0) >= _CONTRACT for kinds in in_tenant),
            all_workspaces=any(_WORKSPACE in kinds for kinds in in_tenant),
            contract_ids=frozenset(
                str(place.contract_id)
                for place in (*(place for place, kinds in in_contracts if kinds - {_TENANT}), *in_workspaces)
            ),
            workspaces_of=frozenset(str(place.contract_id) for place, kinds in in_contracts if _WORKSPACE in kinds),
            workspace_ids=frozenset(str(place.workspace_id) for place in in_workspaces),
        )

    @staticmethod
    def _knows(grant: ScopedPermissions, place: Location) -> bool:
        if _encloses(grant.place, place):
            inner = place
        elif _encloses(place, grant.place):
            inner = grant.place
        else:
            return False
        families = (*_LEVELS[_depth(inner) :], _ANY_SCOPE)
        return not grant.permissions.isdisjoint(f"{family}.auth_clients.get" for family in families)


def auth_client_permissions_here(scope: Scope) -> AuthClientPermissions:
    """Return what the caller may do to auth clients of the scope's place and of those around it.

    That is enough for whatever is not global: a role counts where it is held and inside. Nothing more is read for it.
    """
    if scope.standing is None:
        return _without_roles(scope.who)
    tenant_id, contract_id, workspace_id = scope.place.tenant_id, scope.place.contract_id, scope.place.workspace_id
    places = {
        "tenants": Location(tenant_id),
        "contracts": Location(tenant_id, contract_id),
        "workspaces": Location(tenant_id, contract_id, workspace_id),
    }
    return AuthClientPermissions(
        [ScopedPermissions(places[level], held) for (level, _), held in scope.standing.policy.items()]
    )


async def auth_client_permissions(scope: Scope) -> AuthClientPermissions:
    """Find out what the caller may do to auth clients anywhere, from within any operation."""
    who = scope.who
    if is_task_user(who) or who.tenant_id is None:
        return _without_roles(who)
    return AuthClientPermissions(await _grants(scope.unit.of_tenant(who.tenant_id), who))


def _without_roles(who: Principal) -> AuthClientPermissions:
    """Return what task users and service accounts may do, who hold no roles."""
    if is_task_user(who):
        return AuthClientPermissions([ScopedPermissions(own_place(who), PERMISSIONS)], sees_keys=False)
    return AuthClientPermissions([ScopedPermissions(GLOBAL, who.permissions)])


async def _grants(home: Unit, who: Principal) -> Sequence[ScopedPermissions]:
    standing = RoleAssignments(home)
    policy = await standing.policy()
    grants = []
    for held in await standing.everywhere(who.id):
        level = _LEVELS[_depth(held.place)]
        names = (name for role in held.roles for name in policy.get((level, role), ()))
        grants.append(ScopedPermissions(held.place, frozenset(names)))
    return grants


def _gets(permissions: frozenset[str]) -> frozenset[int]:
    """Return the depths of the scopes whose clients permissions let somebody get; those of any scope are of each."""
    if f"{_ANY_SCOPE}.auth_clients.get" in permissions:
        return frozenset({_TENANT, _CONTRACT, _WORKSPACE})
    return frozenset(
        depth for depth, level in enumerate(_LEVELS) if depth and f"{level}.auth_clients.get" in permissions
    )


def _depth(place: Location) -> int:
    return len(_path(place))


def _encloses(outer: Location, inner: Location) -> bool:
    path = _path(outer)
    return _path(inner)[: len(path)] == path


def _path(place: Location) -> tuple[str, ...]:
    return tuple(part for part in (place.tenant_id, place.contract_id, place.workspace_id) if part)
