"""Teams, the owners of component repositories (contract section 12)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from keyrack.errors import AlreadyExists, InUse, NotFound, RelatedNotFound
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Team
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_TEAMS
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.store.contracts import ContractMembers
from keyrack.store.core.paging import After
from keyrack.store.teams import TeamRows
from keyrack.validation.unvalidated import Unvalidated

_EDIT = "contracts.devTeam.edit"
_UNKNOWN = "there is no such team"


@dataclass(frozen=True, slots=True)
class NewTeam:
    """What a caller sends to create a team; a missing name is generated."""

    contract_id: str
    name: str | None = None
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedTeam:
    """What a caller sends to change a team.

    Attributes:
        names_registry: whether the request says anything of the registry.
        docker_registry: how the team's images are fetched; None forgets it.
    """

    names_registry: bool = False
    docker_registry: Json | None = field(default=None, repr=False)


class Teams:
    """Use cases of contract section 12."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, wanted: NewTeam) -> Team:
        """Create a team in a contract; its creator becomes a member if in the contract.

        Raises:
            RelatedNotFound: there is no such contract.
            Forbidden: the caller may not create teams there.
            AlreadyExists: the installation has a team of that name.
            IdConflict: the body has the id of another team.
        """
        with named_in_body("contract"):
            async with self._access.contract(who, wanted.contract_id, "team.create") as scope:
                scope.require(_EDIT)
                await refuse_taken(scope, "team", wanted.given_id)
                rows = TeamRows(scope.unit)
                try:
                    team_id = await rows.add(wanted.contract_id, wanted.name or f"team-{new_id()}")
                except AlreadyExists:
                    pointer = "/data/attributes/name"
                    raise AlreadyExists("a team with this name already exists", pointer=pointer) from None
                if who.tenant_id is not None and await ContractMembers(scope.unit).keep(wanted.contract_id, who.id):
                    await rows.add_member(team_id, who.id)
                scope.audit_target("team", team_id)
                return await _there(scope, team_id)

    async def list(
        self, who: Principal, contract_id: str, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Team], int]:
        """List a contract's teams; return a page and the number of all."""
        async with self._access.contract(who, contract_id) as scope:
            known = scope.in_contract or scope.allows(GET_TEAMS)
            scope.require_that(known, "only members of the contract can see its teams")
            return await TeamRows(scope.unit).page(contract_id, limit=limit, offset=offset)

    async def get(self, who: Principal, team_id: str) -> Team:
        """Return a team.

        Raises:
            NotFound: there is none the caller can see.
        """
        place = await self._access.locate_for(who, "team", team_id)
        async with self._access.at(who, place) as scope:
            if not (scope.in_contract or scope.allows(GET_TEAMS)):
                self._access.counts.denied(who, place.tenant_id, ("team", team_id))
                raise NotFound(_UNKNOWN)
            return await _there(scope, team_id)

    async def change(self, who: Principal, team_id: str, new: Unvalidated[ChangedTeam]) -> Team:
        """Change a team's registry credentials, which are never shown again; nothing else of a team can be changed.

        Raises:
            NotFound: there is no team the caller can see.
        """
        async with self._edited(who, team_id, "team.change") as scope:
            wanted = new.validated()
            if wanted.names_registry:
                await TeamRows(scope.unit).set_docker_registry(team_id, wanted.docker_registry)
            return await _there(scope, team_id)

    async def delete(self, who: Principal, team_id: str) -> None:
        """Delete a team that owns no component.

        Raises:
            NotFound: there is no team the caller can see.
            InUse: it owns a component.
        """
        async with self._edited(who, team_id, "team.delete") as scope:
            rows = TeamRows(scope.unit)
            await rows.lock_to_delete(team_id)  # a component that is being created is seen, or finds no team
            owned = (await _there(scope, team_id)).component_ids
            if owned:
                raise InUse("the team owns components", meta={"component_ids": list(owned)})
            await rows.remove(team_id)

    async def join(self, who: Principal, team_id: str, user_id: Unvalidated[str]) -> Team:
        """Make a member of the contract a member of a team; one who is in it already stays.

        Raises:
            NotFound: there is no team the caller can see.
            RelatedNotFound: the contract has no such member.
        """
        async with self._edited(who, team_id, "team-member.add") as scope:
            wanted = user_id.validated()
            if not await ContractMembers(scope.unit).keep(scope.place.contract_id or "", wanted):
                raise RelatedNotFound("the contract has no such member", pointer="/data/id")
            rows = TeamRows(scope.unit)
            if not await rows.is_member(team_id, wanted):
                with suppress(AlreadyExists):  # somebody else added the user at this moment
                    await rows.add_member(team_id, wanted)
            return await _there(scope, team_id)

    async def leave(self, who: Principal, team_id: str, user_id: Unvalidated[str]) -> None:
        """Take a user out of a team; one who is not in it stays out (JSON:API 1.1, updating to-many relationships).

        Raises:
            NotFound: there is no team the caller can see.
        """
        async with self._edited(who, team_id, "team-member.remove") as scope:
            await TeamRows(scope.unit).remove_member(team_id, user_id.validated())

    @asynccontextmanager
    async def _edited(self, who: Principal, team_id: str, action: str) -> AsyncIterator[Scope]:
        """Enter the contract of a team that the caller sees and may edit.

        Raises:
            NotFound: there is no team the caller can see.
            Forbidden: the caller may not edit it.
        """
        await self.get(who, team_id)
        async with self._access.at(who, await self._access.locate("team", team_id), action) as scope:
            scope.require(_EDIT)
            scope.audit_target("team", team_id)
            yield scope


async def _there(scope: Scope, team_id: str) -> Team:
    team = await TeamRows(scope.unit).find(team_id)
    if team is None:
        raise NotFound(_UNKNOWN)
    return team
