"""`/console`: where somebody is, and what they belong to."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, SOME_MEMBERS, offset_of
from keyrack.console.core.navigation import first_page
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, NotFound
from keyrack.model.identity import Principal
from keyrack.service.authz.access import home
from keyrack.service.authz.access_counts import trying
from keyrack.service.clients.client_attention import ClientAttentionReader
from keyrack.service.identity.users import Users
from keyrack.service.tenancy.contracts import Contracts, ContractView
from keyrack.service.tenancy.tenants import Tenants
from keyrack.service.tenancy.workspaces import Workspaces, WorkspaceView


@get("/", media_type=MediaType.HTML)
async def overview(
    visit: NamedDependency[Visit],
    users: NamedDependency[Users],
    tenants: NamedDependency[Tenants],
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    client_attention: NamedDependency[ClientAttentionReader],
) -> Response[str]:
    """Show the tenant, contracts and workspaces that the caller may see in the API too.

    Who has no tenant, and so belongs to none of these, begins elsewhere.
    """
    who = visit.who
    if who.tenant_id is None:
        return visit.go(first_page(who, visit.at_home))
    some, total = await contracts.list(
        who, limit=ROWS, offset=offset_of(visit.page_number("contracts")), most_members=SOME_MEMBERS
    )
    offset = offset_of(visit.page_number("workspaces"))
    places, count = await workspaces.list(who, None, limit=ROWS, offset=offset, most_members=SOME_MEMBERS)
    return visit.page(
        "overview.html",
        person=await users.me(who),
        tenant=await _tenant_name(tenants, who),
        contracts=some,
        contract_pager=visit.pager(total, "contracts"),
        workspaces=places,
        workspace_pager=visit.pager(count, "workspaces"),
        attention=await client_attention.of(who),
        contract_names=await _names(contracts, who, some, places),
    )


async def _tenant_name(tenants: Tenants, who: Principal) -> str | None:
    with suppress(Forbidden):
        return (await tenants.get(who, home(who))).name
    return None


async def _names(
    contracts: Contracts, who: Principal, seen: Sequence[ContractView], workspaces: Sequence[WorkspaceView]
) -> Mapping[str, str]:
    """Return the names of the contracts that the workspaces are in, as far as the caller may see them."""
    names = {each.contract.id: each.contract.name for each in seen}
    for contract_id in {each.workspace.contract_id for each in workspaces} - names.keys():
        with trying(), suppress(NotFound, Forbidden):
            names[contract_id] = (await contracts.get(who, contract_id, most_members=0)).contract.name
    return names
