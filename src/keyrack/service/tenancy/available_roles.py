"""Finds the roles that can be given in a contract and its workspaces (contract section 9)."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from keyrack.errors import InUse, Problem, ValidationFailed
from keyrack.model.tenancy import Contract
from keyrack.service.authz.access import Scope
from keyrack.service.authz.permissions import OWNER
from keyrack.store.contracts import ContractMembers
from keyrack.store.tenants import RolePolicy
from keyrack.store.workspaces import WorkspaceMembers
from keyrack.validation.known_names import listed

_ROLES_POINTER = "/data/attributes/available_roles"

Pairs = tuple[tuple[str, str], ...]
"""Roles, each as scope and name."""


def is_available(contract: Contract, scope: str, role: str) -> bool:
    """Tell whether a role of the tenant's policy can be given in a contract; no list of roles means all (section 9)."""
    if scope not in ("contracts", "workspaces"):
        return False
    return not contract.available_roles or role == OWNER or (scope, role) in contract.available_roles


async def known_roles(scope: Scope, pairs: Pairs) -> Pairs:
    """Return available roles with both owner roles, which come by themselves (section 9).

    Raises:
        ValidationFailed: the tenant has no such role.
    """
    known = {(role.scope, role.role) for role in await RolePolicy(scope.unit).list()}
    details = {scope: _no_such_role(scope, known) for scope in {scope for scope, _ in pairs}}
    wrong = [
        Problem(details[pair[0]], f"{_ROLES_POINTER}/{index}") for index, pair in enumerate(pairs) if pair not in known
    ]
    if wrong:
        raise ValidationFailed(*wrong)
    return with_owners(pairs)


def _no_such_role(scope: str, known: Collection[tuple[str, str]]) -> str:
    roles = listed(role for other, role in known if other == scope)
    return f"the tenant has no such role of the scope {scope}; {roles}"


def with_owners(pairs: Pairs) -> Pairs:
    """Add both owner roles to a list of available ones; none means all, so an empty list stays as it is (section 9)."""
    return tuple(dict.fromkeys([*pairs, ("contracts", OWNER), ("workspaces", OWNER)])) if pairs else ()


async def require_not_held(scope: Scope, contract: Contract, pairs: Pairs) -> None:
    """Insist that no member holds a role that would not be available any more, as with roles of the tenant (6.4).

    Raises:
        InUse: `meta.roles` names them, and how many hold them.
    """
    after = replace(contract, available_roles=pairs)
    held = Counter(
        [
            *(
                ("contracts", role)
                for roles in await ContractMembers(scope.unit).roles_held(contract.id)
                for role in roles
            ),
            *(
                ("workspaces", role)
                for roles in await WorkspaceMembers(scope.unit).roles_held(contract.id)
                for role in roles
            ),
        ]
    )
    kept = [pair for pair in sorted(held) if is_available(contract, *pair) and not is_available(after, *pair)]
    if kept:
        raise InUse(
            f"members hold roles that would not be available: {', '.join(role for _, role in kept)}",
            pointer=_ROLES_POINTER,
            meta={"roles": [{"scope": scope, "role": role, "members": held[scope, role]} for scope, role in kept]},
        )
