"""What the forms for members of contracts and of workspaces have in common: the roles to tick, and who becomes one."""

from collections.abc import Sequence
from typing import Any

from keyrack.api.core.body import UnvalidatedBody
from keyrack.console.core.forms import problems_by_field
from keyrack.errors import (
    AlreadyExists,
    KeyrackError,
    Problem,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.model.tenancy import Role
from keyrack.service.tenancy.members import NewMember
from keyrack.validation.unvalidated import Unvalidated

REFUSALS = (ValidationFailed, AlreadyExists, RelatedNotFound, StateConflict)
"""What a form is shown again with."""
_FIELDS = {"/data/id": "email", "/data/attributes/roles": "roles"}
_NO_ROLE = Problem("tick at least one role", "/data/attributes/roles")


def role_choices(policy: Sequence[Role], scope: str) -> list[tuple[str, str, str]]:
    """Return the roles of a level that can be given, for a form: value, text, and how many permissions it has."""
    return [
        (role.role, role.i18n.get("en", role.role), f"{len(role.permissions)} permissions")
        for role in policy
        if role.scope == scope
    ]


def roles_of(given: Sequence[str]) -> Unvalidated[tuple[str, ...]]:
    """Return the ticked roles, each once; that none is ticked is found when they are judged."""

    def judged() -> tuple[str, ...]:
        if not given:
            raise ValidationFailed(_NO_ROLE)
        return tuple(dict.fromkeys(given))

    return Unvalidated(judged)


def new_member(expected: Any, resource_type: str, user_id: str, typed: dict[str, Any]) -> Unvalidated[NewMember]:
    """Return a new member as the API takes one; nobody has the email if there is no id."""
    body = {"type": resource_type, "id": user_id or "-", "attributes": {"roles": typed["roles"]}}

    def judged() -> NewMember:
        problems = [] if user_id else [Problem("nobody here has this email", "/data/id")]
        problems += [] if typed["roles"] else [_NO_ROLE]
        if problems:
            raise ValidationFailed(*problems)
        given = UnvalidatedBody[Any]({"data": body}, expected).validated()
        return NewMember(given.data.id, tuple(dict.fromkeys(given.data.attributes.roles)))

    return Unvalidated(judged)


def refused(error: KeyrackError | None) -> dict[str, Any]:
    """Return what a form shows of a refusal: status, what is wrong by field, and what belongs to none."""
    wrong, others = problems_by_field(error, _FIELDS)
    return {"status": 200 if error is None else 400, "wrong": wrong, "others": others}
