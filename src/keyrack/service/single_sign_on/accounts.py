"""Finds the account of somebody who has signed in at the tenant's provider, or makes one (decision 31).

Accounts are looked for in this tenant alone, so that no provider says anything about another tenant's users.
"""

from dataclasses import dataclass
from enum import Enum, auto

from keyrack.errors import AlreadyExists, BadRequest, ValidationFailed
from keyrack.model.identity import User
from keyrack.model.single_sign_on import SingleSignOn
from keyrack.service.single_sign_on.identity_provider import Person
from keyrack.store.core.unit import Unit
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.users import UserRows
from keyrack.validation.emails import email_key


class NoAccount(BadRequest):
    """Nobody here is signed in as this person."""


class How(Enum):
    """By what an account is somebody's."""

    linked = auto()
    """It was linked with the person before."""
    by_email = auto()
    """It has the person's email, and is linked with nobody."""
    new = auto()
    """It is to be made."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whose account it is.

    Attributes:
        user: None: it is to be made.
        how: by what.
    """

    user: User | None
    how: How


async def find_account(unit: Unit, settings: SingleSignOn, person: Person) -> Found:
    """Find the account of a person; nothing is changed.

    Args:
        unit: of the tenant.
        settings: of the tenant.
        person: who has signed in.

    Raises:
        NoAccount: there is none; says why.
    """
    links = LinkedIdentities(unit)
    linked = await links.user(settings.issuer, person.subject)
    if linked is not None and (user := await UserRows(unit).find(linked)) is not None:
        return Found(user, How.linked)
    if person.email is None:
        raise NoAccount("Your organisation's sign-in service tells us no email address, by which we could know you.")
    if not person.email_verified:
        raise NoAccount(
            "Your organisation's sign-in service does not say that your email address is verified (email_verified),"
            " so it is not enough to know you by."
        )
    domain = email_key(person.email).rpartition("@")[2]
    if settings.domains and domain not in settings.domains:
        raise NoAccount(f"Addresses of {domain} may not sign in here this way.")
    user = await UserRows(unit).with_email(person.email)
    if user is not None:
        if await links.is_linked(user.id):
            raise NoAccount(
                "The account with your email address belongs to somebody else at your organisation's sign-in service."
                " An admin of your organisation can undo that at Single sign-on in the console."
            )
        return Found(user, How.by_email)
    if not settings.creates_users:
        raise NoAccount("Nobody here has your email address. An admin of your organisation can make an account for it.")
    return Found(None, How.new)


async def take_account(unit: Unit, settings: SingleSignOn, person: Person) -> Found:
    """Find the account of a person as `find_account`, make it if need be, and link it with them.

    Args:
        unit: of the tenant, which is held, in a transaction.
        settings: of the tenant.
        person: who has signed in.

    Returns:
        The user, and what the account was before.

    Raises:
        NoAccount: there is none, and none can be made.
    """
    found = await find_account(unit, settings, person)
    if found.how is How.linked:
        return found
    users = UserRows(unit)
    if found.user is None:
        try:
            user = await users.add(person.email or "", person.first_name, person.last_name)
        except (AlreadyExists, ValidationFailed):  # perhaps another tenant's, which nobody is told
            raise NoAccount("No account can be made for your email address.") from None
    else:
        user = found.user
        await users.lock_to_change(user.id)
    try:
        await LinkedIdentities(unit).add(user.id, settings.issuer, person.subject, person.email)
    except AlreadyExists:
        raise NoAccount("You have just signed in elsewhere for the first time. Try again.") from None
    return Found(user, found.how)
