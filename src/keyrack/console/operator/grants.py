"""`/console/installation/grants`: grants of all tenants, by state, provider and tenant; nothing secret is shown."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import state_shares, words
from keyrack.model.operations import GrantState
from keyrack.service.operator.grant_overview import COUNTED_TO
from keyrack.service.operator.operations import Operations

NO_PROVIDER = "none"
"""What the address calls grants that no provider refreshes."""
_MOST_PROVIDERS = 200


@get("/installation/grants", media_type=MediaType.HTML)
async def grants(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """List grants."""
    who, number = visit.who, visit.page_number()
    state, provider, tenant = visit.asked("state"), visit.asked("provider"), visit.asked("tenant")
    client = visit.asked("client")
    wanted = GrantState(state) if state in set(GrantState) else None
    found, total = await operations.grants.page(
        who,
        state=wanted,
        origin={"": None, NO_PROVIDER: ""}.get(provider, provider),
        tenant_id=tenant or None,
        auth_client_id=client or None,
        limit=ROWS,
        offset=offset_of(number),
    )
    counts = await operations.grants.counts(who)
    origins = sorted(origin for origin in counts.by_origin if origin)[:_MOST_PROVIDERS]
    if provider and provider not in (NO_PROVIDER, *origins):
        origins = [provider, *origins]
    return visit.page(
        "operator/grants.html",
        grants=found,
        total=total,
        counted_to=COUNTED_TO,
        pager=visit.pager(total),
        shares=state_shares(counts),
        origins=origins,
        has_others="" in counts.by_origin,
        asked={"state": wanted.value if wanted else "", "provider": provider, "tenant": tenant, "client": client},
        **words(),
    )
