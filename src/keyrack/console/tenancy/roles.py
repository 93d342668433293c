"""`/console/roles`: the roles of the tenant with their permissions; changed by those who may."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from msgspec import Meta, Struct

from keyrack.api.core.body import UnvalidatedBody
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, InUse, KeyrackError, NotFound, StateConflict, ValidationFailed
from keyrack.model.tenancy import Role
from keyrack.service.authz.access import home
from keyrack.service.authz.permissions import ALL, LISTED, OWNER
from keyrack.service.tenancy.roles import Roles, WantedRole
from keyrack.validation.fields import Text

PATH = "/console/roles"
_EDIT = "tenants.tenant.edit_roles"
_SCOPES: Mapping[str, str] = {"tenants": "the tenant", "contracts": "contracts", "workspaces": "workspaces"}
_FIELDS = {
    "/role": "role",
    "/title": "title",
    "/scope": "scope",
    "/data/attributes/roles/0/permissions": "permissions",
    "/data/attributes/roles/0/role": "role",
}
_DONE = {"saved": "The role is saved; it counts at once for everybody who holds it.", "deleted": "The role is gone."}


class _WantedRole(Struct):
    """What the form for a role asks for."""

    scope: Literal["tenants", "contracts", "workspaces"]
    role: Text
    title: Text
    permissions: Annotated[list[str], Meta(max_length=500)]


@get("/roles", media_type=MediaType.HTML)
async def role_list(visit: NamedDependency[Visit], roles: NamedDependency[Roles]) -> Response[str]:
    """Show the roles that can be given, and what each may do; perhaps only those with a text in name or permission."""
    asked = visit.asked("q").lower()
    policy = [each for each in await roles.whole_policy(visit.who, home(visit.who)) if asked in _words(each)]
    return visit.page(
        "tenancy/roles.html",
        levels=[(scope, words, [role for role in policy if role.scope == scope]) for scope, words in _SCOPES.items()],
        q=visit.asked("q"),
        grouped=grouped,
        is_fixed=_is_fixed,
        may_edit=visit.allows(_EDIT),
        done=visit.done(_DONE),
    )


@get("/roles/new", media_type=MediaType.HTML)
async def role_form(visit: NamedDependency[Visit]) -> Response[str]:
    """Show the form for a new role."""
    scope = visit.asked("scope") if visit.asked("scope") in _SCOPES else "contracts"
    return _form(visit, {"scope": scope, "role": "", "title": "", "permissions": []}, is_new=True)


@get("/roles/edit", media_type=MediaType.HTML)
async def role_edit_form(visit: NamedDependency[Visit], roles: NamedDependency[Roles]) -> Response[str]:
    """Show the form that changes a role."""
    found = await _found(visit, roles, visit.asked("scope"), visit.asked("role"))
    typed = {
        "scope": found.scope,
        "role": found.role,
        "title": found.i18n.get("en", found.role),
        "permissions": sorted(found.permissions),
    }
    return _form(visit, typed, is_new=False)


@post("/roles", media_type=MediaType.HTML)
async def role_saved(visit: NamedDependency[Visit], roles: NamedDependency[Roles]) -> Response[str]:
    """Add a role, or replace the one of the same scope and name."""
    form = await visit.form()
    is_new = form.get("is_new") == "yes"
    typed = {
        "scope": form.text("scope"),
        "role": form.text("role"),
        "title": form.text("title"),
        "permissions": list(form.all("permissions")),
    }
    body = UnvalidatedBody[_WantedRole](typed, _WantedRole)
    titles = {} if is_new else (await _found(visit, roles, form.text("scope"), form.text("role"))).i18n
    wanted = body.then(
        lambda given: WantedRole(given.scope, given.role, given.permissions, {**titles, "en": given.title})
    )
    try:
        await roles.put_one(visit.who, home(visit.who), wanted)
    except ValidationFailed as error:
        return _form(visit, typed, is_new=is_new, error=error)
    return visit.go(PATH, done="saved")


@get("/roles/delete", media_type=MediaType.HTML)
async def role_deleting(visit: NamedDependency[Visit], roles: NamedDependency[Roles]) -> Response[str]:
    """Ask whether a role is to go."""
    return await _deleting(visit, roles, visit.asked("scope"), visit.asked("role"))


@post("/roles/delete", media_type=MediaType.HTML)
async def role_deleted(visit: NamedDependency[Visit], roles: NamedDependency[Roles]) -> Response[str]:
    """Take a role out of the tenant, unless somebody holds it."""
    form = await visit.form()
    scope, role = form.text("scope"), form.text("role")
    try:
        await roles.remove_one(visit.who, home(visit.who), scope, role)
    except (InUse, StateConflict) as error:
        return await _deleting(visit, roles, scope, role, error)
    return visit.go(PATH, done="deleted")


def grouped(permissions: Sequence[str]) -> Sequence[tuple[str, Sequence[str]]]:
    """Return permissions by what they are about, such as `workspaces.flow`, each group in order."""
    groups: dict[str, list[str]] = {}
    for name in sorted(permissions):
        groups.setdefault(name.rpartition(".")[0], []).append(name.rpartition(".")[2])
    return list(groups.items())


def _words(role: Role) -> str:
    return "\n".join((role.role, *role.i18n.values(), *role.permissions)).lower()


def _is_fixed(role: Role) -> bool:
    return role.role == OWNER and role.scope != "tenants"


async def _found(visit: Visit, roles: Roles, scope: str, role: str) -> Role:
    policy = await roles.whole_policy(visit.who, home(visit.who))
    found = next((each for each in policy if (each.scope, each.role) == (scope, role)), None)
    if found is None:
        raise NotFound("there is no such role")
    return found


async def _deleting(
    visit: Visit, roles: Roles, scope: str, role: str, error: KeyrackError | None = None
) -> Response[str]:
    _require_editor(visit)
    found = await _found(visit, roles, scope, role)
    others = [] if error is None else [problem.detail for problem in error.problems]
    status = 200 if error is None else 409
    return visit.page("tenancy/role_delete.html", status=status, role=found, words=_SCOPES[scope], others=others)


def _form(visit: Visit, typed: dict[str, Any], *, is_new: bool, error: KeyrackError | None = None) -> Response[str]:
    _require_editor(visit)
    wrong, others = problems_by_field(error, _FIELDS)
    offered = ALL if typed["scope"] == "tenants" else {*LISTED, *typed["permissions"]} & ALL
    return visit.page(
        "tenancy/role_form.html",
        status=200 if error is None else 400,
        typed=typed,
        is_new=is_new,
        scopes=list(_SCOPES.items()),
        groups=grouped(sorted(offered)),
        wrong=wrong,
        others=others,
    )


def _require_editor(visit: Visit) -> None:
    if not visit.allows(_EDIT):
        raise Forbidden(f"this needs the permission {_EDIT}")
