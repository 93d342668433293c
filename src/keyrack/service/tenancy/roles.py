"""A tenant's role policy, and the roles that users hold in the tenant itself (contract section 6.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyrack.errors import Forbidden, InUse, NotFound, Problem, StateConflict, ValidationFailed
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Role
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import (
    DEFAULT_ROLES,
    GIVE_TENANT_ROLES,
    LISTED,
    OWNER,
    TENANT_ADMIN,
    no_such_permission,
    normalise,
)
from keyrack.service.authz.task_users import is_task_user
from keyrack.store.role_uses import RoleUse, RoleUses
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from keyrack.validation.known_names import listed
from keyrack.validation.unvalidated import Unvalidated

_EDIT_POLICY = "tenants.tenant.edit_roles"
_BASE = "/data/attributes/roles"
_HINTS = 20
"""For how many wrong permissions the one that is meant is looked for."""
_NAMED = 100
"""Users and places that a refusal names at most, of each kind."""
_BUILT_IN = {(role.scope, role.role): role for role in DEFAULT_ROLES}
_OWNERS = (("contracts", OWNER), ("workspaces", OWNER))
_TENANT_ADMIN = ("tenants", TENANT_ADMIN)


@dataclass(frozen=True, slots=True)
class WantedRole:
    """A role of a new policy as it was sent.

    Attributes:
        scope: `contracts`, `workspaces` or `tenants`.
        role: its name.
        permissions: names, aliases among them.
        i18n: its titles by language; None: as they were, else the name.
    """

    scope: str
    role: str
    permissions: Sequence[str]
    i18n: Mapping[str, str] | None = None


class Roles:
    """Use cases of contract section 6.4."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @staticmethod
    def permissions(who: Principal) -> Sequence[str]:
        """Return the permissions that roles can be made of.

        Raises:
            Forbidden: the caller is a task user (section 2).
        """
        if is_task_user(who):
            raise Forbidden
        return LISTED

    async def policy(self, who: Principal, tenant_id: str) -> Sequence[Role]:
        """Return a tenant's role policy; the built-in `tenant-admin` only if it was changed."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.list_roles")
            return _shown(await RolePolicy(scope.unit).list())

    async def whole_policy(self, who: Principal, tenant_id: str) -> Sequence[Role]:
        """Return all roles of a tenant, the built-in `tenant-admin` too."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.list_roles")
            return await RolePolicy(scope.unit).list()

    async def replace(
        self, who: Principal, tenant_id: str, wanted: Unvalidated[Sequence[WantedRole]]
    ) -> Sequence[Role]:
        """Replace a tenant's role policy; see `new_policy`.

        Raises:
            ValidationFailed: a role comes twice, or a permission does not exist.
            InUse: a role that is missing is assigned, or is one of a contract's available roles.
        """
        async with self._access.tenant(who, tenant_id, "role-policy.change", exclusive=True) as scope:
            scope.require(_EDIT_POLICY)
            rows = RolePolicy(scope.unit)
            before = await rows.list()
            after = new_policy(before, wanted.validated())
            await _require_unused(
                scope, {(role.scope, role.role) for role in before} - {(r.scope, r.role) for r in after}
            )
            await rows.replace(after)
            scope.audit_target("role-policy", tenant_id)
            return _shown(after)

    async def put_one(self, who: Principal, tenant_id: str, wanted: Unvalidated[WantedRole]) -> Role:
        """Add a role to a tenant's policy, or replace the one with its scope and name; the others stay.

        Raises:
            ValidationFailed: a permission does not exist.
        """
        async with self._access.tenant(who, tenant_id, "role-policy.change", exclusive=True) as scope:
            scope.require(_EDIT_POLICY)
            rows, role = RolePolicy(scope.unit), wanted.validated()
            before = await rows.list()
            key = (role.scope, role.role)
            others = [_as_wanted(each) for each in before if (each.scope, each.role) != key]
            after = new_policy(before, [role, *others])
            await rows.replace(sorted(after, key=lambda each: _place_of(each, before)))
            scope.audit_target("role-policy", tenant_id)
            return next(each for each in after if (each.scope, each.role) == key)

    async def remove_one(self, who: Principal, tenant_id: str, role_scope: str, name: str) -> None:
        """Take a role out of a tenant's policy.

        Raises:
            NotFound: there is no such role.
            StateConflict: it is a built-in one, which stays.
            InUse: it is assigned, or one of a contract's available roles.
        """
        async with self._access.tenant(who, tenant_id, "role-policy.change", exclusive=True) as scope:
            scope.require(_EDIT_POLICY)
            rows, key = RolePolicy(scope.unit), (role_scope, name)
            before = await rows.list()
            if key not in {(each.scope, each.role) for each in before}:
                raise NotFound("there is no such role")
            if key in (*_OWNERS, _TENANT_ADMIN):
                raise StateConflict("this role is part of every tenant")
            await _require_unused(scope, {key})
            await rows.replace([each for each in before if (each.scope, each.role) != key])
            scope.audit_target("role-policy", tenant_id)

    async def give(
        self, who: Principal, tenant_id: str, user_id: str, wanted: Unvalidated[tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Replace the roles that a user holds in the tenant itself, and return them.

        Raises:
            NotFound: the tenant has no such user.
            ValidationFailed: the tenant has no such role of the scope `tenants`.
        """
        async with self._access.tenant(who, tenant_id, "tenant-member.change") as scope:
            scope.require(GIVE_TENANT_ROLES)
            users = UserRows(scope.unit)
            if await users.find(user_id) is None:
                raise NotFound("the tenant has no such user")
            roles = wanted.validated()
            known = {role.role for role in await RolePolicy(scope.unit).list() if role.scope == "tenants"}
            detail = f"the tenant has no such role of the scope tenants; {listed(known)}"
            wrong = [Problem(detail, f"{_BASE}/{index}") for index, role in enumerate(roles) if role not in known]
            if wrong:
                raise ValidationFailed(*wrong)
            await users.set_tenant_roles(user_id, roles)
            scope.audit_target("tenant-member", user_id)
            return roles


def new_policy(before: Sequence[Role], wanted: Sequence[WantedRole]) -> Sequence[Role]:
    """Return the policy that replaces another.

    Both `owner` roles are in it as they are built in, whatever was sent of them; `tenant-admin` stays as it is where
    it was not sent, because a policy does not show it unless it was changed.

    Raises:
        ValidationFailed: a role comes twice, a permission does not exist, or titles lack the English one.
    """
    problems: list[Problem] = []
    titles = {(role.scope, role.role): role.i18n for role in before}
    found: dict[tuple[str, str], Role] = {}
    for index, role in enumerate(wanted):
        where, key = f"{_BASE}/{index}", (role.scope, role.role)
        if key in found:
            problems.append(Problem("this scope has a role with this name already", f"{where}/role"))
        for number, name in enumerate(role.permissions):
            if normalise([name])[1]:
                detail = no_such_permission(name) if len(problems) < _HINTS else "there is no such permission"
                problems.append(Problem(detail, f"{where}/permissions/{number}"))
        if role.i18n is not None and "en" not in role.i18n:
            problems.append(Problem("en is required: the title in English", f"{where}/i18n/en"))
        i18n = titles.get(key, {"en": role.role}) if role.i18n is None else role.i18n
        known, _ = normalise(role.permissions)
        found[key] = Role(role.scope, role.role, frozenset(known), i18n)
    if problems:
        raise ValidationFailed(*problems)
    admin = [role for role in before if (role.scope, role.role) == _TENANT_ADMIN] or [_BUILT_IN[_TENANT_ADMIN]]
    kept = {_TENANT_ADMIN: admin[0], **{key: _BUILT_IN[key] for key in _OWNERS}}
    missing = [role for key, role in kept.items() if key not in found]
    return [*missing, *(_BUILT_IN[key] if key in _OWNERS else role for key, role in found.items())]


def _as_wanted(role: Role) -> WantedRole:
    return WantedRole(role.scope, role.role, sorted(role.permissions), role.i18n)


def _place_of(role: Role, before: Sequence[Role]) -> int:
    """Return where a role stood, a new one at the end."""
    keys = [(each.scope, each.role) for each in before]
    return keys.index((role.scope, role.role)) if (role.scope, role.role) in keys else len(keys)


def _shown(policy: Sequence[Role]) -> Sequence[Role]:
    return [role for role in policy if role.scope != "tenants" or role != _BUILT_IN.get((role.scope, role.role))]


async def _require_unused(scope: Scope, removed: set[tuple[str, str]]) -> None:
    uses = [use for use in await RoleUses(scope.unit).list() if (use.scope, use.role) in removed] if removed else []
    if not uses:
        return
    names = ", ".join(sorted({f"{use.role} ({use.scope})" for use in uses}))
    detail = f"these roles are assigned or available in contracts, and must be sent too: {names}"
    raise InUse(detail, meta={f"{kind}_ids": _ids(uses, kind) for kind in ("contract", "workspace", "user")})


def _ids(uses: Sequence[RoleUse], kind: str) -> Sequence[str]:
    return sorted({use.id for use in uses if use.kind == kind})[:_NAMED]
