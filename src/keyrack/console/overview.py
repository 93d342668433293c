"""`/console`: where somebody is, and what they belong to."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.rendering import ROWS, Pager
from keyrack.console.requests import AnyRequest, Console, page_number
from keyrack.errors import Forbidden, NotFound
from keyrack.model.identity import Principal
from keyrack.service.authz.access import home
from keyrack.service.tenancy.contracts import ContractView
from keyrack.service.tenancy.workspaces import WorkspaceView


@get("/", media_type=MediaType.HTML)
async def overview(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Show the tenant, contracts and workspaces that the caller may see in the API too."""
    signed_in = await console.signed_in(request)
    who = signed_in.who
    first, second = page_number(request, "contracts"), page_number(request, "workspaces")
    contracts, total = await console.contracts.list(who, limit=ROWS, offset=(first - 1) * ROWS)
    workspaces, count = await console.workspaces.list(who, None, limit=ROWS, offset=(second - 1) * ROWS)
    return console.page(
        request,
        signed_in,
        "overview.html",
        person=await console.users.me(who),
        tenant=await _tenant_name(console, who),
        contracts=contracts,
        contract_pager=Pager("contracts", first, total),
        workspaces=workspaces,
        workspace_pager=Pager("workspaces", second, count),
        contract_names=await _names(console, who, contracts, workspaces),
    )


async def _tenant_name(console: Console, who: Principal) -> str | None:
    with suppress(Forbidden):
        return (await console.tenants.get(who, home(who))).name
    return None


async def _names(
    console: Console, who: Principal, contracts: Sequence[ContractView], workspaces: Sequence[WorkspaceView]
) -> Mapping[str, str]:
    """Return the names of the contracts that the workspaces are in, as far as the caller may see them."""
    names = {each.contract.id: each.contract.name for each in contracts}
    for contract_id in {each.workspace.contract_id for each in workspaces} - names.keys():
        with suppress(NotFound, Forbidden):
            names[contract_id] = (await console.contracts.get(who, contract_id)).contract.name
    return names
