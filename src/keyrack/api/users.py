"""Users, their API keys, and teams (contract sections 11 and 12, 0.2)."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, NewResource, SelfLink, Single, Text, link_self
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.identity import ApiKey, User
from keyrack.service.identity.users import NewUser, Users
from keyrack.service.offboarding.user_deletion import UserDeletion
from keyrack.validation.fields import Email, Time

_STRONG = r"^(?=[\s\S]*[^\W\d_])(?=[\s\S]*\d)(?=[\s\S]*[\W_])"
Password = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=1024,
        pattern=_STRONG,
        description="at least 8 characters with letters, digits and special characters",
    ),
]
_PER_PAGE = 50


class NewUserAttributes(msgspec.Struct):
    """A person; the password never comes back."""

    first_name: Text
    last_name: Text
    email: Email
    password: Password
    company: str | UnsetType | None = UNSET


class CreateUser(NewResource):
    """Data of a create request."""

    type: Literal["user"]
    attributes: NewUserAttributes


class CreateUserBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateUser


class UserAttributes(msgspec.Struct):
    """A person."""

    first_name: str
    last_name: str
    email: str
    registered: str
    last_login: str | None
    company: str | UnsetType = UNSET


class UserResource(msgspec.Struct):
    """A user."""

    id: str
    links: SelfLink
    attributes: UserAttributes
    type: Literal["user"] = "user"


class NewApiKeyAttributes(msgspec.Struct):
    """A name to tell keys apart, and optionally when it ends."""

    name: Text
    expires_at: Time | UnsetType | None = UNSET


class CreateApiKey(NewResource):
    """Data of a create request."""

    type: Literal["api-key"]
    attributes: NewApiKeyAttributes


class CreateApiKeyBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateApiKey


class ApiKeyAttributes(msgspec.Struct):
    """`api_key` is present in the answer to its creation only."""

    name: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    api_key: str | UnsetType = UNSET


class ApiKeyResource(msgspec.Struct):
    """An API key."""

    id: str
    attributes: ApiKeyAttributes
    type: Literal["api-key"] = "api-key"


class UserController(Controller):
    """Users."""

    path = "/v2/users"
    tags = ("Users",)

    @get(responses=Refusals.of(400, 403))
    async def list_all(
        self,
        who: Who,
        users: NamedDependency[Users],
        page: WantedPage,
        email: Annotated[str | None, QueryParameter(name="email", description="The one user with this email.")] = None,
        iss: Annotated[
            str | None,
            QueryParameter(
                name="iss", description="With `sub`: the one user whom this OpenID issuer knows by that subject."
            ),
        ] = None,
        sub: Annotated[str | None, QueryParameter(name="sub", description="See `iss`.")] = None,
    ) -> Many[UserResource]:
        """List the tenant's users; `email` picks one."""
        paged = page.or_default(_PER_PAGE)
        subject = (iss, sub) if iss and sub else None
        if (iss or sub) and (email or subject is None):
            detail = "iss and sub go together, and not with email"
            raise ValidationFailed(Problem(detail, parameter="iss" if iss else "sub"))
        found, total = await users.list(who, email or None, subject, limit=paged.limit, offset=paged.offset)
        return Many([_user(user) for user in found], paged.meta(total))

    @post(status_code=201, responses=Refusals.of(400, 403, 409, body=True))
    async def create(self, data: Body[CreateUserBody], who: Who, users: NamedDependency[Users]) -> Single[UserResource]:
        """Create a user."""
        return Single(_user(await users.create(who, data.then(_new_user))))

    @get("/me", responses=Refusals.of(403))
    async def me(self, who: Who, users: NamedDependency[Users]) -> Single[UserResource]:
        """Return the calling user."""
        return Single(_user(await users.me(who)))

    @get("/me/api-keys", responses=Refusals.of(400, 403))
    async def api_keys(self, who: Who, users: NamedDependency[Users], page: WantedPage) -> Many[ApiKeyResource]:
        """List the caller's API keys, without the keys themselves."""
        return await read_list(page, partial(users.api_keys, who), _api_key)

    @post("/me/api-keys", status_code=201, responses=Refusals.of(400, 403, body=True))
    async def create_api_key(
        self, data: Body[CreateApiKeyBody], who: Who, users: NamedDependency[Users]
    ) -> Single[ApiKeyResource]:
        """Create an API key; it is shown only once."""
        key, clear = await users.create_api_key(who, data.then(_new_api_key))
        return Single(_api_key(key, clear))

    @delete("/me/api-keys/{key_id:str}", responses=Refusals.of(403, 404))
    async def revoke_api_key(self, key_id: PATH_ID, who: Who, users: NamedDependency[Users]) -> None:
        """Revoke one of the caller's API keys."""
        await users.revoke_api_key(who, key_id)

    @get("/{user_id:str}", responses=Refusals.of(404))
    async def retrieve(self, user_id: PATH_ID, who: Who, users: NamedDependency[Users]) -> Single[UserResource]:
        """Return one user."""
        return Single(_user(await users.get(who, user_id)))

    @delete("/{user_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, user_id: PATH_ID, who: Who, user_deletion: NamedDependency[UserDeletion]) -> None:
        """Delete a user; what others still need passes on to them."""
        await user_deletion.delete(who, user_id)


def _new_user(body: CreateUserBody) -> NewUser:
    given = body.data.attributes
    company = or_none(given.company)
    password = Secret(given.password)
    return NewUser(given.email, given.first_name, given.last_name, company, password, body.data.given_id)


def _new_api_key(body: CreateApiKeyBody) -> tuple[str, datetime | None]:
    given = body.data.attributes
    expires_at = given.expires_at if isinstance(given.expires_at, datetime) else None
    return given.name, expires_at


def _user(user: User) -> UserResource:
    attributes = UserAttributes(
        user.first_name,
        user.last_name,
        user.email,
        iso(user.registered),
        None if user.last_login is None else iso(user.last_login),
        company=UNSET if user.company is None else user.company,
    )
    return UserResource(user.id, link_self(f"/v2/users/{user.id}"), attributes)


def _api_key(key: ApiKey, clear: Secret | None = None) -> ApiKeyResource:
    ends = None if key.expires_at is None else iso(key.expires_at)
    used = None if key.last_used_at is None else iso(key.last_used_at)
    shown = UNSET if clear is None else clear.reveal()
    return ApiKeyResource(key.id, ApiKeyAttributes(key.name, iso(key.created_at), ends, used, shown))
