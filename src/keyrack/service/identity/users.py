"""Users and their API keys (contract section 11, 0.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, NotFound, Problem, ValidationFailed
from keyrack.model.identity import ApiKey, Principal, PrincipalKind, User
from keyrack.service.authz.access import Access, home
from keyrack.service.authz.permissions import CREATE_USERS
from keyrack.service.authz.references import refuse_taken
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.tenancy.invite_acceptance import welcome
from keyrack.store.accounts import ApiKeys
from keyrack.store.core.paging import After
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.users import UserRows, require_email
from keyrack.validation.unvalidated import Unvalidated

_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
"""Times after this cannot be printed in every time zone."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """What a caller sends to create a user."""

    email: str
    first_name: str
    last_name: str
    company: str | None
    password: Secret = field(repr=False)
    given_id: str | None = None


class Users:
    """Use cases of contract section 11."""

    def __init__(self, access: Access, passwords: PasswordHashing) -> None:
        self._access = access
        self._passwords = passwords

    async def me(self, who: Principal) -> User:
        """Return the calling user.

        Raises:
            Forbidden: the caller is no person.
        """
        _require_person(who)
        return await self.get(who, who.id)

    async def get(self, who: Principal, user_id: str) -> User:
        """Return a user: oneself, with `tenants.user.get`, or somebody in a shared contract.

        Raises:
            NotFound: there is none the caller can see.
        """
        place = await self._access.locate_for(who, "user", user_id)
        async with self._access.at(who, place) as scope:
            seen = user_id == who.id or scope.allows("tenants.user.get")
            if not seen:
                standing = RoleAssignments(scope.unit)
                seen = bool(await standing.contracts_of(who.id) & await standing.contracts_of(user_id))
            user = await UserRows(scope.unit).find(user_id) if seen else None
            if user is None:
                raise NotFound("there is no such user")
            return user

    async def list(
        self,
        who: Principal,
        email: str | None,
        subject: tuple[str, str] | None = None,
        *,
        limit: int | None,
        offset: int,
    ) -> tuple[Sequence[User], int]:
        """List the users of the caller's tenant.

        Args:
            who: the caller.
            email: only the user with this email, if given.
            subject: only the user who is linked with this issuer's subject, if given (decision 31).
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        async with self._access.tenant(who, home(who)) as scope:
            scope.require("tenants.user.list_all")
            if subject is not None:
                linked = await LinkedIdentities(scope.unit).user(*subject)
                user = None if linked is None else await UserRows(scope.unit).find(linked)
                return ([], 0) if user is None else ([user][offset:], 1)
            return await UserRows(scope.unit).page(email=email, limit=limit, offset=offset)

    async def create(self, who: Principal, new: Unvalidated[NewUser]) -> User:
        """Create a user in the caller's tenant, a member wherever the email is invited (section 9).

        An API key comes with the command line or the user's own request.

        Raises:
            AlreadyExists: somebody in the installation has the email.
            RateLimited: too many are being created.
            IdConflict: the body has the id of another user.
        """
        prepared = await self._prepared(who, new)
        async with self._access.tenant(who, home(who), "user.create") as scope:
            scope.require(CREATE_USERS)
            if prepared is None:
                raise Forbidden("your permissions have just changed; try again")
            wanted, hashed = prepared
            await refuse_taken(scope, "user", wanted.given_id)
            user = await UserRows(scope.unit).add(
                wanted.email, wanted.first_name, wanted.last_name, company=wanted.company, password_hash=hashed
            )
            await welcome(scope.unit, who, user)
            scope.audit_target("user", user.id)
            return user

    async def _prepared(self, who: Principal, new: Unvalidated[NewUser]) -> tuple[NewUser, str] | None:
        """Check the request of somebody who may create users, and hash the password; None for everybody else.

        Hashing takes a good while by design, and holds no connection, let alone a lock.
        """
        async with self._access.tenant(who, home(who)) as scope:
            if not scope.allows(CREATE_USERS):
                return None
        wanted = new.validated()
        require_email(wanted.email)
        return wanted, await self._passwords.hash(home(who), wanted.password)

    async def api_keys(self, who: Principal, *, limit: int | None, offset: int | After) -> tuple[Sequence[ApiKey], int]:
        """List the caller's API keys, without the keys themselves; return a page and the number of all.

        Raises:
            Forbidden: the caller is no user.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who)) as scope:
            return await ApiKeys(scope.unit).page(PrincipalKind.user, who.id, limit=limit, offset=offset)

    async def create_api_key(
        self, who: Principal, name: Unvalidated[tuple[str, datetime | None]]
    ) -> tuple[ApiKey, Secret]:
        """Create an API key for the caller; the key is returned this once.

        Raises:
            Forbidden: the caller is no user.
            ValidationFailed: it would end in the past, or too far ahead to be stored.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who), "api-key.create") as scope:
            title, expires_at = name.validated()
            if expires_at is not None and not scope.unit.clock() < expires_at < _END_OF_TIME:
                detail = "must be in the future, and before the year 9999"
                raise ValidationFailed(Problem(detail, "/data/attributes/expires_at"))
            key = new_api_key()
            stored = await ApiKeys(scope.unit).add(PrincipalKind.user, who.id, title, key_hash(key), expires_at)
            scope.audit_target("api-key", stored.id)
            return stored, key

    async def revoke_api_key(self, who: Principal, key_id: str) -> None:
        """Revoke one of the caller's API keys, at once.

        Raises:
            Forbidden: the caller is no user.
            NotFound: the caller has no such key.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who), "api-key.revoke") as scope:
            if not await ApiKeys(scope.unit).remove(PrincipalKind.user, who.id, key_id):
                raise NotFound("you have no such API key")
            scope.audit_target("api-key", key_id)


def _require_person(who: Principal) -> None:
    if who.kind is not PrincipalKind.user:
        raise Forbidden("only a user has a profile")
