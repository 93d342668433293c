"""Users and their API keys (contract section 11, 0.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, NotFound, Problem, StateConflict, ValidationFailed
from keyrack.model.identity import ApiKey, Principal, PrincipalKind, User
from keyrack.model.once import Once
from keyrack.model.windows import Beside, Window, window
from keyrack.service.audit.log import was_made
from keyrack.service.authz.access import Access, home
from keyrack.service.authz.permissions import CREATE_USERS
from keyrack.service.authz.references import refuse_taken
from keyrack.service.identity.authentication import api_key_of, key_hash, new_api_key
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.tenancy.invite_acceptance import welcome
from keyrack.store.accounts import ApiKeys
from keyrack.store.contracts import ContractRows
from keyrack.store.core.paging import After
from keyrack.store.core.unit import Unit
from keyrack.store.role_assignments import HeldRoles, RoleAssignments
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.users import UserRows, require_email
from keyrack.store.workspaces import WorkspaceRows
from keyrack.validation.unvalidated import Unvalidated

_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
"""Times after this cannot be printed in every time zone."""
_MOST_PLACES = 100
"""Of a user that are named."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """What a caller sends to create a user."""

    email: str
    first_name: str
    last_name: str
    company: str | None
    password: Secret | None = field(repr=False)
    """None: the account has none until its owner chooses one."""
    given_id: str | None = None
    made_id: str | None = None
    """The id that the user gets; None: a new one."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Where somebody belongs, with which roles.

    Attributes:
        contract_id: the contract, or the one that the workspace is in.
        workspace_id: the workspace; None: it is about the contract itself.
        name: of the workspace, else of the contract.
        roles: held there.
    """

    contract_id: str
    workspace_id: str | None
    name: str
    roles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Memberships:
    """What a user is and belongs to.

    Attributes:
        tenant_roles: held in the tenant itself.
        places: contracts and workspaces, at most a hundred of them.
        total: how many there are.
        is_in_use: whether somebody has used the account.
    """

    tenant_roles: Sequence[str]
    places: Sequence[Membership]
    total: int
    is_in_use: bool


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
            if not seen:
                self._access.counts.denied(who, place.tenant_id, ("user", user_id))
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

    async def search(self, who: Principal, prefix: str, beside: Beside[str], *, limit: int) -> Window[User]:
        """List the users of the caller's tenant by email, without counting them.

        Args:
            who: the caller.
            prefix: only those whose emails begin with this; empty for all.
            beside: which part of the list; its key is an email.
            limit: how many at most.
        """
        async with self._access.tenant(who, home(who)) as scope:
            scope.require("tenants.user.list_all")
            found = await UserRows(scope.unit).by_email(prefix, beside.key, backwards=beside.backwards, limit=limit + 1)
            return window(found, beside, limit)

    async def memberships(self, who: Principal, user_id: str) -> Memberships:
        """Return the roles that a user of the caller's tenant holds, place by place; as far as they are many, some.

        Raises:
            NotFound: the tenant has no such user.
            Forbidden: the caller may not see the tenant's users.
        """
        async with self._access.tenant(who, home(who)) as scope:
            scope.require("tenants.user.get")
            users = UserRows(scope.unit)
            if await users.find(user_id) is None:
                raise NotFound("the tenant has no such user")
            held = await RoleAssignments(scope.unit).everywhere(user_id)
            places = [each for each in held if each.place.contract_id is not None]
            named = [await _named(scope.unit, each) for each in places[:_MOST_PLACES]]
            tenant_roles = await users.tenant_roles(user_id)
            in_use = await users.is_in_use(user_id)
            return Memberships(tenant_roles, named, len(places), is_in_use=in_use)

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
                wanted.email,
                wanted.first_name,
                wanted.last_name,
                company=wanted.company,
                password_hash=hashed,
                user_id=wanted.made_id,
            )
            await welcome(scope.unit, who, user)
            scope.audit_target("user", user.id)
            return user

    async def _prepared(self, who: Principal, new: Unvalidated[NewUser]) -> tuple[NewUser, str | None] | None:
        """Check the request of somebody who may create users, and hash the password; None for everybody else.

        Hashing takes a good while by design, and holds no connection, let alone a lock.
        """
        async with self._access.tenant(who, home(who)) as scope:
            if not scope.allows(CREATE_USERS):
                return None
        wanted = new.validated()
        require_email(wanted.email)
        if wanted.password is None:
            return wanted, None
        return wanted, await self._passwords.hash(home(who), wanted.password)

    async def api_keys(
        self, who: Principal, *, part: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[ApiKey], int]:
        """List the caller's API keys, without the keys themselves; return a page and the number of all.

        Args:
            who: is asking.
            part: only those whose names have this in them, or that have it as their id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.

        Raises:
            Forbidden: the caller is no user.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who)) as scope:
            return await ApiKeys(scope.unit).page(PrincipalKind.user, who.id, part=part, limit=limit, offset=offset)

    async def api_key(self, who: Principal, key_id: str) -> ApiKey:
        """Return one of the caller's API keys, without the key itself.

        Raises:
            Forbidden: the caller is no user.
            NotFound: the caller has no such key.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who)) as scope:
            key = await ApiKeys(scope.unit).find(PrincipalKind.user, who.id, key_id)
            if key is None:
                raise NotFound("you have no such API key")
            return key

    async def create_api_key(
        self,
        who: Principal,
        name: Unvalidated[tuple[str, datetime | None]],
        once: Once | None = None,
    ) -> tuple[ApiKey, Secret]:
        """Create an API key for the caller; the key is returned this once.

        Args:
            who: the caller.
            name: of the key, and until when it is good.
            once: of a form that may be sent twice: one that was made of it already is returned again.

        Raises:
            Forbidden: the caller is no user.
            ValidationFailed: it would end in the past, or too far ahead to be stored.
            StateConflict: the form has made one that was revoked since: what was revoked never comes back.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who), "api-key.create") as scope:
            title, expires_at = name.validated()
            if expires_at is not None and not scope.unit.clock() < expires_at < _END_OF_TIME:
                detail = "must be in the future, and before the year 9999"
                raise ValidationFailed(Problem(detail, "/data/attributes/expires_at"))
            key, keys = new_api_key() if once is None else api_key_of(once.seed), ApiKeys(scope.unit)
            stored = None
            if once is not None:
                await UserRows(scope.unit).lock_to_change(who.id)
                stored = await keys.find(PrincipalKind.user, who.id, once.id)
            if stored is None:
                if once is not None and await was_made(scope.unit, "api-key.create", once.id):
                    raise StateConflict("this form has made a key already, which is revoked")
                made_id = None if once is None else once.id
                stored = await keys.add(PrincipalKind.user, who.id, title, key_hash(key), expires_at, made_id)
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


async def _named(unit: Unit, held: HeldRoles) -> Membership:
    contract_id, workspace_id = held.place.contract_id or "", held.place.workspace_id
    if workspace_id is None:
        contract = await ContractRows(unit).find(contract_id)
        return Membership(contract_id, None, "" if contract is None else contract.name, held.roles)
    workspace = await WorkspaceRows(unit).find(workspace_id)
    return Membership(contract_id, workspace_id, "" if workspace is None else workspace.name, held.roles)


def _require_person(who: Principal) -> None:
    if who.kind is not PrincipalKind.user:
        raise Forbidden("only a user has a profile")
