"""Teams, the owners of component repositories (contract section 12)."""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import (
    Identifier,
    Linkage,
    Many,
    NewResource,
    Relationship,
    SelfLink,
    Single,
    Text,
    link_self,
    related,
)
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.tenancy import Team
from keyrack.service.tenancy.teams import ChangedTeam, NewTeam, Teams
from keyrack.validation.fields import Slug


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


class CreateTeam(NewResource):
    """Data of a create request; the type may be missing here (section 4)."""

    relationships: NewTeamRelationships
    type: Literal["team"] = "team"
    attributes: NewTeamAttributes = msgspec.field(default_factory=NewTeamAttributes)


class CreateTeamBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateTeam


class ChangedTeamAttributes(msgspec.Struct):
    """Credentials for the registry with the team's images, of any form; null forgets them. They never come back."""

    docker_registry: dict[str, Any] | UnsetType | None = UNSET


class ChangeTeam(msgspec.Struct):
    """Data of a change."""

    type: Literal["team"]
    attributes: ChangedTeamAttributes = msgspec.field(default_factory=ChangedTeamAttributes)
    id: str | UnsetType = UNSET


class ChangeTeamBody(msgspec.Struct):
    """Body of a change."""

    data: ChangeTeam


class UserLinkage(msgspec.Struct):
    """Linkage to a user."""

    id: Text
    type: Literal["user"]


class TeamMemberBody(msgspec.Struct):
    """Who joins or leaves a team."""

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


class TeamController(Controller):
    """Teams."""

    path = "/v2/teams"
    tags = ("Teams",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        teams: NamedDependency[Teams],
        page: WantedPage,
        contract_id: Annotated[
            str | None, QueryParameter(name="contract_id", description="Required: the contract whose teams are listed.")
        ] = None,
    ) -> Many[TeamResource]:
        """List a contract's teams."""
        if not contract_id:
            raise ValidationFailed(Problem("contract_id is required", parameter="contract_id"))
        return await read_list(page, partial(teams.list, who, contract_id), _resource)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(self, data: Body[CreateTeamBody], who: Who, teams: NamedDependency[Teams]) -> Single[TeamResource]:
        """Create a team."""
        return Single(_resource(await teams.create(who, _new_team(data.validated()))))

    @get("/{team_id:str}", responses=Refusals.of(404))
    async def retrieve(self, team_id: PATH_ID, who: Who, teams: NamedDependency[Teams]) -> Single[TeamResource]:
        """Return one team."""
        return Single(_resource(await teams.get(who, team_id)), links=link_self(f"/v2/teams/{team_id}"))

    @post("/{team_id:str}/relationships/members", status_code=200, responses=Refusals.of(400, 403, 404, body=True))
    async def add_member(
        self, team_id: PATH_ID, data: Body[TeamMemberBody], who: Who, teams: NamedDependency[Teams]
    ) -> Single[TeamResource]:
        """Make a member of the contract a member of the team."""
        return Single(_resource(await teams.join(who, team_id, data.then(lambda body: body.data.id))))

    @delete("/{team_id:str}/relationships/members", responses=Refusals.of(403, 404, body=True))
    async def remove_member(
        self, team_id: PATH_ID, data: Body[TeamMemberBody], who: Who, teams: NamedDependency[Teams]
    ) -> None:
        """Take the user named in the body out of the team."""
        await teams.leave(who, team_id, data.then(lambda body: body.data.id))

    @patch("/{team_id:str}", responses=Refusals.of(403, 404, body=True))
    async def change(
        self, team_id: PATH_ID, data: Body[ChangeTeamBody], who: Who, teams: NamedDependency[Teams]
    ) -> Single[TeamResource]:
        """Change the registry credentials of a team, but not its name."""
        return Single(_resource(await teams.change(who, team_id, data.then(lambda body: _changed(body, team_id)))))

    @delete("/{team_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, team_id: PATH_ID, who: Who, teams: NamedDependency[Teams]) -> None:
        """Delete a team that owns no component."""
        await teams.delete(who, team_id)


def _new_team(body: CreateTeamBody) -> NewTeam:
    wanted = body.data
    given = wanted.attributes.name if isinstance(wanted.attributes, NewTeamAttributes) else UNSET
    return NewTeam(wanted.relationships.contract.data.id, or_none(given), wanted.given_id)


def _changed(body: ChangeTeamBody, team_id: str) -> ChangedTeam:
    require_id(body.data.id, team_id)
    given = body.data.attributes.docker_registry
    return ChangedTeam() if given is UNSET else ChangedTeam(names_registry=True, docker_registry=given)


def _resource(team: Team) -> TeamResource:
    owned: Linkages | UnsetType = UNSET
    if team.component_ids:
        owned = Linkages([Identifier(each, "component") for each in team.component_ids])
    relationships = TeamRelationships(
        contract=related("contract", "/v2/contracts", team.contract_id),
        users=Linkages([Identifier(each, "user") for each in team.user_ids]),
        components=owned,
    )
    return TeamResource(team.id, link_self(f"/v2/teams/{team.id}"), TeamAttributes(team.name), relationships)
