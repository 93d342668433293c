"""Contracts (contract section 9) and their roles (6.4)."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse
from msgspec import UNSET, UnsetType

from keyrack.api.core.body import JsonRequest, or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, NewResource, Relationship, SelfLink, Single, Text, link_self, related
from keyrack.api.core.lists import listed
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.invites import InvitesRelation, included_with, invite_linkage
from keyrack.api.members import MembersRelation, contract_member, linkage
from keyrack.api.roles import PolicyAttributes, role_entry
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.tenancy.contracts import ChangedContract, Contracts, ContractView, NewContract
from keyrack.service.tenancy.invites import Invites
from keyrack.validation.fields import PlaceName

_PER_PAGE = 20


class RolePair(msgspec.Struct):
    """A role by scope and name."""

    scope: Literal["contracts", "workspaces"]
    role: Text


class NewContractAttributes(msgspec.Struct):
    """A contract; no available roles means all of the tenant's."""

    name: PlaceName
    available_roles: list[RolePair] | UnsetType = UNSET
    custom_data: Any = UNSET


class CreateContract(NewResource):
    """Data of a create request."""

    type: Literal["contract"]
    attributes: NewContractAttributes


class CreateContractBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateContract


class ChangedContractAttributes(msgspec.Struct):
    """What changes; absent members stay. No available roles means all, null takes custom data away."""

    name: PlaceName | UnsetType = UNSET
    available_roles: list[RolePair] | UnsetType = UNSET
    custom_data: Any = UNSET


class ChangeContract(msgspec.Struct):
    """Data of an update request; `type` is optional (section 4)."""

    type: Literal["contract"] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    attributes: ChangedContractAttributes = msgspec.field(default_factory=ChangedContractAttributes)


class ChangeContractBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeContract


class ContractRelationships(msgspec.Struct):
    """Who is in a contract, and, if asked for, who is invited."""

    members: MembersRelation
    invites: InvitesRelation | UnsetType = UNSET


class ContractResource(msgspec.Struct):
    """A contract."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    relationships: ContractRelationships
    type: Literal["contract"] = "contract"


class ContractPolicyRelationships(msgspec.Struct):
    """Whose policy it is."""

    contract: Relationship


class ContractPolicyResource(msgspec.Struct):
    """The roles that can be given in a contract and its workspaces."""

    id: str
    attributes: PolicyAttributes
    relationships: ContractPolicyRelationships
    type: Literal["contract-policy"] = "contract-policy"


class ContractController(Controller):
    """Contracts."""

    path = "/v2/contracts"
    tags = ("Contracts",)

    @post(status_code=201, responses=Refusals.of(400, 403, body=True))
    async def create(
        self, data: Body[CreateContractBody], who: Who, contracts: NamedDependency[Contracts]
    ) -> Single[ContractResource]:
        """Create a contract in the caller's tenant."""
        return Single(_resource(await contracts.create(who, data.then(_new_contract))))

    @get(responses=Refusals.of(400, 403))
    async def list_all(
        self, who: Who, contracts: NamedDependency[Contracts], page: WantedPage
    ) -> Many[ContractResource]:
        """List the caller's contracts."""
        paged = page.or_default(_PER_PAGE)
        found, total = await contracts.list(who, limit=paged.limit, offset=paged.offset)
        return await listed(found, _resource, paged.meta(total), contracts.with_custom_data)

    @get("/{contract_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self,
        contract_id: PATH_ID,
        who: Who,
        contracts: NamedDependency[Contracts],
        invites: NamedDependency[Invites],
        include: Annotated[
            str | None,
            QueryParameter(
                name="include", description="`members` and `invites`, separated by a comma, to be added to the answer."
            ),
        ] = None,
    ) -> Single[ContractResource]:
        """Return one contract; `include=members,invites` adds them."""
        view = await contracts.get(who, contract_id, with_members=wants(include, "members"))
        invited = (await invites.of_contract(who, contract_id))[0] if wants(include, "invites") else None
        included = included_with(view.members and [contract_member(each) for each in view.members], invited)
        resource = _resource(view)
        if invited is not None:
            resource.relationships.invites = invite_linkage(invited, contract_id)
        return Single(resource, included=included, links=link_self(f"/v2/contracts/{contract_id}"))

    @patch("/{contract_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        contract_id: PATH_ID,
        data: Body[ChangeContractBody],
        who: Who,
        contracts: NamedDependency[Contracts],
    ) -> Single[ContractResource]:
        """Change a contract's name, available roles or custom data; each needs its own permission."""

        def changed(body: ChangeContractBody) -> ChangedContract:
            require_id(body.data.id, contract_id)
            given = body.data.attributes
            return ChangedContract(
                name=or_none(given.name),
                available_roles=None if given.available_roles is UNSET else _pairs(given.available_roles),
                custom_data=or_none(given.custom_data),
                custom_data_given=given.custom_data is not UNSET,
            )

        view = await contracts.change(who, contract_id, data.named_attributes, data.then(changed))
        return Single(_resource(view))

    @delete("/{contract_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, contract_id: PATH_ID, who: Who, place_deletion: NamedDependency[PlaceDeletion]) -> None:
        """Delete a contract with all that is in it; the tenant's OAuth clients stay."""
        await place_deletion.delete_contract(who, contract_id)

    @post("/{contract_id:str}/suspend", status_code=202, responses=Refusals.of(400, 403, 404))
    async def suspend(
        self, request: JsonRequest, contract_id: PATH_ID, who: Who, contracts: NamedDependency[Contracts]
    ) -> ASGIResponse:
        """Stop a contract's flows and refuse to write in it, until it is unsuspended."""
        await request.action()
        await contracts.suspend(who, contract_id)
        return _accepted()

    @post("/{contract_id:str}/unsuspend", status_code=204, responses=Refusals.of(400, 403, 404))
    async def unsuspend(
        self, request: JsonRequest, contract_id: PATH_ID, who: Who, contracts: NamedDependency[Contracts]
    ) -> None:
        """Open a suspended contract; its flows stay stopped."""
        await request.action()
        await contracts.unsuspend(who, contract_id)

    @get("/{contract_id:str}/roles", responses=Refusals.of(403, 404))
    async def roles(
        self, contract_id: PATH_ID, who: Who, contracts: NamedDependency[Contracts]
    ) -> Single[ContractPolicyResource]:
        """Return the roles that can be given in a contract and its workspaces."""
        shown = [role_entry(role) for role in await contracts.roles(who, contract_id)]
        relationships = ContractPolicyRelationships(related("contract", "/v2/contracts", contract_id))
        resource = ContractPolicyResource(contract_id, PolicyAttributes(shown), relationships)
        return Single(resource, links=link_self(f"/v2/contracts/{contract_id}/roles"))


def _accepted() -> ASGIResponse:
    """Return 202 with an empty body (section 9), which has no type."""
    answer = ASGIResponse(status_code=202)
    del answer.headers["content-type"]
    return answer


def wants(include: str | None, name: str) -> bool:
    """Tell whether the `include` parameter names something."""
    return include is not None and name in include.split(",")


def _pairs(roles: list[RolePair]) -> tuple[tuple[str, str], ...]:
    return tuple((role.scope, role.role) for role in roles)


def _new_contract(body: CreateContractBody) -> NewContract:
    given = body.data.attributes
    pairs = () if given.available_roles is UNSET else _pairs(given.available_roles)
    custom_data = or_none(given.custom_data)
    return NewContract(given.name, pairs, custom_data, body.data.given_id)


def _resource(view: ContractView) -> ContractResource:
    contract = view.contract
    path = f"/v2/contracts/{contract.id}"
    attributes: dict[str, Any] = {
        "name": contract.name,
        "available_roles": [{"scope": scope, "role": role} for scope, role in contract.available_roles],
        "status": contract.status,
        **contract.attributes,
    }
    if view.custom_data is not None:
        attributes["custom_data"] = msgspec.Raw(view.custom_data)
    members = linkage(view.member_ids, "contract-member", path)
    return ContractResource(contract.id, link_self(path), attributes, ContractRelationships(members))
