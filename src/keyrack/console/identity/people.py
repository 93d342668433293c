"""`/console/people`: the users of the tenant, their roles, their first sign-in, and what goes when one is deleted."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from msgspec import Struct

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.lists import ROWS
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import AlreadyExists, Forbidden, KeyrackError, NotFound, StateConflict, ValidationFailed
from keyrack.model.identity import User
from keyrack.service.authz.access import home
from keyrack.service.authz.permissions import CREATE_USERS, GIVE_TENANT_ROLES, TENANT_ADMIN
from keyrack.service.identity.account_setup import AccountSetup
from keyrack.service.identity.two_step import DISABLE_FOR_USERS, TwoStep
from keyrack.service.identity.users import NewUser, Users
from keyrack.service.offboarding.user_deletion import UserDeletion
from keyrack.service.tenancy.roles import Roles
from keyrack.validation.fields import Email, Text
from keyrack.validation.unvalidated import Unvalidated

PATH = "/console/people"
_FIELDS = {
    "/email": "email",
    "/data/attributes/email": "email",
    "/first_name": "first_name",
    "/last_name": "last_name",
    "/company": "company",
}
_DONE = {
    "created": "The account is created. It has no way in yet: make a setup link, and send it to the person.",
    "roles": "The roles in the tenant are changed.",
    "deleted": "The user is deleted.",
    "two-step": "Two-step sign-in is off for this person, whom the password alone lets in until it is on again.",
}


class _Person(Struct):
    """What the form for a new user asks for."""

    email: Email
    first_name: Text
    last_name: Text
    company: Text | None = None


@get("/people", media_type=MediaType.HTML)
async def people(visit: NamedDependency[Visit], users: NamedDependency[Users]) -> Response[str]:
    """List the users of the tenant by email."""
    prefix = visit.asked("email")
    found = await users.search(visit.who, prefix, visit.beside(), limit=ROWS)
    return visit.page(
        "identity/people.html",
        people=found.rows,
        turner=visit.turner(found, _email),
        prefix=prefix,
        may_create=visit.allows(CREATE_USERS),
        done=visit.done(_DONE),
    )


@get("/people/new", media_type=MediaType.HTML)
async def person_form(visit: NamedDependency[Visit]) -> Response[str]:
    """Show the form for a new user.

    Raises:
        Forbidden: the visitor may not create any.
    """
    if not visit.allows(CREATE_USERS):
        raise Forbidden(f"this needs the permission {CREATE_USERS}")
    return _form(visit, {}, new_once(visit))


@post("/people/new", media_type=MediaType.HTML)
async def person_created(visit: NamedDependency[Visit], users: NamedDependency[Users]) -> Response[str]:
    """Create a user without a password; a setup link then lets the person in."""
    form = await visit.form()
    once = once_of(visit, form)
    typed = {name: form.text(name) for name in ("email", "first_name", "last_name", "company")}
    body = UnvalidatedBody[_Person]({**typed, "company": typed["company"] or None}, _Person)
    wanted = body.then(
        lambda given: NewUser(given.email, given.first_name, given.last_name, given.company, None, made_id=once.id)
    )
    try:
        user, _ = await made_once(
            lambda: users.get(visit.who, once.id),
            lambda: users.create(visit.who, wanted),
        )
    except (ValidationFailed, AlreadyExists) as error:
        return _form(visit, typed, form[FIELD], error)
    return visit.go(f"{PATH}/{user.id}", done="created")


@get("/people/{user_id:str}", media_type=MediaType.HTML)
async def person(
    visit: NamedDependency[Visit],
    user_id: PATH_ID,
    users: NamedDependency[Users],
    roles: NamedDependency[Roles],
    two_step: NamedDependency[TwoStep],
) -> Response[str]:
    """Show one user: what they are in, and how they get in."""
    return await _person(visit, user_id, users, roles, two_step, done=visit.done(_DONE))


@post("/people/{user_id:str}/tenant-roles", media_type=MediaType.HTML)
async def tenant_roles_given(
    visit: NamedDependency[Visit],
    user_id: PATH_ID,
    users: NamedDependency[Users],
    roles: NamedDependency[Roles],
    two_step: NamedDependency[TwoStep],
) -> Response[str]:
    """Replace the roles that a user holds in the tenant itself."""
    wanted = tuple(dict.fromkeys((await visit.form()).all("roles")))
    try:
        await roles.give(visit.who, home(visit.who), user_id, Unvalidated(lambda: wanted))
    except ValidationFailed as error:
        return await _person(visit, user_id, users, roles, two_step, error=error)
    return visit.go(f"{PATH}/{user_id}", done="roles")


@post("/people/{user_id:str}/setup-link", media_type=MediaType.HTML)
async def setup_link_made(
    visit: NamedDependency[Visit],
    user_id: PATH_ID,
    users: NamedDependency[Users],
    roles: NamedDependency[Roles],
    two_step: NamedDependency[TwoStep],
    account_setup: NamedDependency[AccountSetup],
) -> Response[str]:
    """Make a link with which a user signs in for the first time, and show it this once; an earlier one ends."""
    await visit.form()
    try:
        made = await account_setup.create_link(visit.who, user_id)
    except StateConflict as error:
        return await _person(visit, user_id, users, roles, two_step, error=error)
    user = await users.get(visit.who, user_id)
    return visit.page(
        "identity/setup_link.html",
        url=made.url.reveal(),
        until=made.link.expires_at,
        email_of=user.email,
        back=f"{PATH}/{user_id}",
        back_text="To the person",
        crumbs=[(PATH, "People"), (f"{PATH}/{user_id}", user.email)],
    )


@get("/people/{user_id:str}/two-step", media_type=MediaType.HTML)
async def two_step_ending(
    visit: NamedDependency[Visit],
    user_id: PATH_ID,
    users: NamedDependency[Users],
    two_step: NamedDependency[TwoStep],
) -> Response[str]:
    """Say what turning off somebody's second step means.

    Raises:
        NotFound: there is no such user, or it is not on.
    """
    user = await users.get(visit.who, user_id)
    if not await two_step.is_on_for_user(visit.who, user_id):
        raise NotFound("two-step sign-in is not on for this person")
    return visit.page("identity/person_two_step.html", person=user)


@post("/people/{user_id:str}/two-step", media_type=MediaType.HTML)
async def two_step_ended(
    visit: NamedDependency[Visit], user_id: PATH_ID, two_step: NamedDependency[TwoStep]
) -> Response[str]:
    """Turn the second step off for somebody who has lost the phone."""
    await visit.form()
    await two_step.disable_for_user(visit.who, user_id)
    return visit.go(f"{PATH}/{user_id}", done="two-step")


@get("/people/{user_id:str}/delete", media_type=MediaType.HTML)
async def person_deleting(
    visit: NamedDependency[Visit],
    user_id: PATH_ID,
    users: NamedDependency[Users],
    user_deletion: NamedDependency[UserDeletion],
) -> Response[str]:
    """Say what goes with a user, and who gets the rest."""
    user = await users.get(visit.who, user_id)
    preview = await user_deletion.preview(visit.who, user_id)
    return visit.page("identity/person_delete.html", person=user, preview=preview, is_self=user_id == visit.who.id)


@post("/people/{user_id:str}/delete", media_type=MediaType.HTML)
async def person_deleted(
    visit: NamedDependency[Visit], user_id: PATH_ID, user_deletion: NamedDependency[UserDeletion]
) -> Response[str]:
    """Delete a user."""
    await visit.form()
    await user_deletion.delete(visit.who, user_id)
    return visit.go(PATH, done="deleted")


async def _person(
    visit: Visit,
    user_id: str,
    users: Users,
    roles: Roles,
    two_step: TwoStep,
    *,
    done: str = "",
    error: KeyrackError | None = None,
) -> Response[str]:
    user = await users.get(visit.who, user_id)
    memberships = await users.memberships(visit.who, user_id)
    choices: list[tuple[str, str, str]] = []
    may_give = visit.allows(GIVE_TENANT_ROLES) and visit.allows("tenants.tenant.list_roles")
    if may_give:
        policy = await roles.policy(visit.who, home(visit.who))
        titles = {TENANT_ADMIN: "Tenant admin"} | {
            role.role: role.i18n.get("en", role.role) for role in policy if role.scope == "tenants"
        }
        choices = [(name, title, "" if name == title else name) for name, title in titles.items()]
    return visit.page(
        "identity/person.html",
        status=200 if error is None else 400 if isinstance(error, ValidationFailed) else 409,
        person=user,
        memberships=memberships,
        choices=choices,
        done=done,
        others=[] if error is None else [problem.detail for problem in error.problems],
        is_self=user_id == visit.who.id,
        may_give=may_give,
        has_two_step=visit.allows(DISABLE_FOR_USERS) and await two_step.is_on_for_user(visit.who, user_id),
        may_link=visit.allows(CREATE_USERS) and not memberships.is_in_use,
        may_delete=visit.allows("tenants.user.delete") and user_id != visit.who.id,
        may_audit=visit.allows("tenants.audit.get"),
    )


def _form(visit: Visit, typed: dict[str, Any], once: str, error: KeyrackError | None = None) -> Response[str]:
    wrong, others = problems_by_field(error, _FIELDS)
    status = 200 if error is None else 400
    return visit.page("identity/person_form.html", status=status, typed=typed, once=once, wrong=wrong, others=others)


def _email(user: User) -> str:
    return user.email
