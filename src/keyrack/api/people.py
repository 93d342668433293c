"""Users, their API keys, and teams (contract sections 11 and 12, 0.2)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.asked import Body, WantedPage, Who
from keyrack.api.jsonapi import (
    Identifier,
    Linkage,
    Many,
    Relationship,
    SelfLink,
    Single,
    Text,
    link_self,
    related,
)
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import ApiKey, Team, User
from keyrack.service.contracts import Estates
from keyrack.service.people import NewUser, People

Email = Annotated[str, Meta(min_length=3, max_length=320, pattern=r"^[^@:\s]+@[^@:\s]+$")]
Slug = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+$")]
_PER_PAGE = 50


class NewUserAttributes(msgspec.Struct):
    """A person; the password never comes back."""

    first_name: Text
    last_name: Text
    email: Email
    password: str
    company: str | UnsetType = UNSET


class CreateUser(msgspec.Struct):
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
    expires_at: datetime | UnsetType | None = UNSET


class CreateApiKey(msgspec.Struct):
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
    api_key: str | UnsetType = UNSET


class ApiKeyResource(msgspec.Struct):
    """An API key."""

    id: str
    attributes: ApiKeyAttributes
    type: Literal["api-key"] = "api-key"


class NewTeamAttributes(msgspec.Struct):
    """A team's name; generated if missing."""

    name: Slug | UnsetType = UNSET


class ContractOfTeam(msgspec.Struct):
    """Linkage to a contract."""

    id: Text
    type: Literal["contract"]


class NewTeamRelationships(msgspec.Struct):
    """What a new team belongs to."""

    contract: Linkage[ContractOfTeam]


class CreateTeam(msgspec.Struct):
    """Data of a create request; the type may be missing here (section 4)."""

    relationships: NewTeamRelationships
    type: Literal["team"] = "team"
    attributes: NewTeamAttributes = msgspec.field(default_factory=NewTeamAttributes)


class CreateTeamBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateTeam


class UserLinkage(msgspec.Struct):
    """Linkage to a user."""

    id: Text
    type: Literal["user"]


class TeamMemberBody(msgspec.Struct):
    """Who joins a team."""

    data: UserLinkage


class TeamAttributes(msgspec.Struct):
    """A team."""

    name: str


class Linkages(msgspec.Struct):
    """Linkage to several resources."""

    data: list[Identifier]


class TeamRelationships(msgspec.Struct):
    """`components` is absent when the team owns none; clients test for that (section 12)."""

    contract: Relationship
    users: Linkages
    components: Linkages | UnsetType = UNSET


class TeamResource(msgspec.Struct):
    """A team."""

    id: str
    links: SelfLink
    attributes: TeamAttributes
    relationships: TeamRelationships
    type: Literal["team"] = "team"


class UserController(Controller):
    """Users."""

    path = "/v2/users"
    tags = ["Users"]  # noqa: RUF012 - the framework's own way to set it

    @get(responses=Refusals.of(400, 403))
    async def list_all(
        self,
        who: Who,
        people: NamedDependency[People],
        page: WantedPage,
        email: Annotated[str | None, QueryParameter(name="email")] = None,
    ) -> Many[UserResource]:
        """List the tenant's users."""
        paged = page.or_default(_PER_PAGE)
        found, total = await people.list(who, email or None, limit=paged.limit, offset=paged.offset)
        return Many([_user(user) for user in found], paged.meta(total))

    @post(status_code=201, responses=Refusals.of(400, 403, 409, body=True))
    async def create(
        self, data: Body[CreateUserBody], who: Who, people: NamedDependency[People]
    ) -> Single[UserResource]:
        """Create a user."""
        return Single(_user(await people.create(who, data.then(_new_user))))

    @get("/me", responses=Refusals.of(403))
    async def me(self, who: Who, people: NamedDependency[People]) -> Single[UserResource]:
        """Return the calling user."""
        return Single(_user(await people.me(who)))

    @get("/me/api-keys", responses=Refusals.of(400, 403))
    async def api_keys(self, who: Who, people: NamedDependency[People], page: WantedPage) -> Many[ApiKeyResource]:
        """List the caller's API keys, without the keys themselves."""
        found = await people.api_keys(who)
        return Many([_api_key(key) for key in page.cut(found)], page.meta(len(found)))

    @post("/me/api-keys", status_code=201, responses=Refusals.of(400, 403, body=True))
    async def create_api_key(
        self, data: Body[CreateApiKeyBody], who: Who, people: NamedDependency[People]
    ) -> Single[ApiKeyResource]:
        """Create an API key; it is shown this once."""
        key, clear = await people.create_api_key(who, data.then(_new_api_key))
        return Single(_api_key(key, clear))

    @delete("/me/api-keys/{key_id:str}", responses=Refusals.of(403, 404))
    async def revoke_api_key(self, key_id: PATH_ID, who: Who, people: NamedDependency[People]) -> None:
        """Revoke one of the caller's API keys."""
        await people.revoke_api_key(who, key_id)

    @get("/{user_id:str}", responses=Refusals.of(404))
    async def retrieve(self, user_id: PATH_ID, who: Who, people: NamedDependency[People]) -> Single[UserResource]:
        """Return one user."""
        return Single(_user(await people.get(who, user_id)))


class TeamController(Controller):
    """Teams."""

    path = "/v2/teams"
    tags = ["Teams"]  # noqa: RUF012 - the framework's own way to set it

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        estates: NamedDependency[Estates],
        page: WantedPage,
        contract_id: Annotated[str | None, QueryParameter(name="contract_id")] = None,
    ) -> Many[TeamResource]:
        """List a contract's teams."""
        if not contract_id:
            raise ValidationFailed(Problem("contract_id is required", parameter="contract_id"))
        found = await estates.teams(who, contract_id)
        return Many([_team(team) for team in page.cut(found)], page.meta(len(found)))

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self, data: Body[CreateTeamBody], who: Who, estates: NamedDependency[Estates]
    ) -> Single[TeamResource]:
        """Create a team."""
        contract_id = data.then(lambda body: body.data.relationships.contract.data.id)
        return Single(_team(await estates.create_team(who, contract_id, data.then(_team_name))))

    @get("/{team_id:str}", responses=Refusals.of(404))
    async def retrieve(self, team_id: PATH_ID, who: Who, estates: NamedDependency[Estates]) -> Single[TeamResource]:
        """Return one team."""
        team = await estates.team(who, team_id)
        return Single(_team(team), links=link_self(f"/v2/teams/{team_id}"))

    @post("/{team_id:str}/relationships/members", status_code=200, responses=Refusals.of(400, 403, 404, body=True))
    async def add_member(
        self, team_id: PATH_ID, data: Body[TeamMemberBody], who: Who, estates: NamedDependency[Estates]
    ) -> Single[TeamResource]:
        """Make a member of the contract a member of the team."""
        return Single(_team(await estates.join_team(who, team_id, data.then(lambda body: body.data.id))))


def _new_user(body: CreateUserBody) -> NewUser:
    given = body.data.attributes
    company = None if given.company is UNSET else given.company
    return NewUser(given.email, given.first_name, given.last_name, company, Secret(given.password))


def _new_api_key(body: CreateApiKeyBody) -> tuple[str, datetime | None]:
    given = body.data.attributes
    expires_at = given.expires_at if isinstance(given.expires_at, datetime) else None
    if expires_at is not None and expires_at.tzinfo is None:
        raise ValidationFailed(Problem("needs a time zone, such as Z", "/data/attributes/expires_at"))
    return given.name, expires_at


def _team_name(body: CreateTeamBody) -> str | None:
    name = body.data.attributes.name
    return None if name is UNSET else name


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
    shown = UNSET if clear is None else clear.reveal()
    return ApiKeyResource(key.id, ApiKeyAttributes(key.name, iso(key.created_at), ends, shown))


def _team(team: Team) -> TeamResource:
    owned: Linkages | UnsetType = UNSET
    if team.component_ids:
        owned = Linkages([Identifier(each, "component") for each in team.component_ids])
    relationships = TeamRelationships(
        contract=related("contract", "/v2/contracts", team.contract_id),
        users=Linkages([Identifier(each, "user") for each in team.user_ids]),
        components=owned,
    )
    return TeamResource(team.id, link_self(f"/v2/teams/{team.id}"), TeamAttributes(team.name), relationships)
