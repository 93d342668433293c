"""`/console/components`: which components need an OAuth client and lack it, and what each asks of a client."""

from collections.abc import Sequence
from contextlib import suppress

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.clients.secret_fields import CLIENT_AUTH
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden
from keyrack.model.clients import AuthClientFilter, ListedAuthClient
from keyrack.service.authz.access import home
from keyrack.service.authz.permissions import GET_OAUTH_CLIENTS
from keyrack.service.clients.auth_client_overview import AuthClientOverview
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.components.components import Components
from keyrack.service.consents.registration_by_hand import RegistrationsByHand

_LINKED = 10
"""How many auth clients the page of a component names."""


@get("/components", media_type=MediaType.HTML)
async def component_list(visit: NamedDependency[Visit], client_needs: NamedDependency[ClientNeeds]) -> Response[str]:
    """List the components that the tenant sees, those first that lack an OAuth client."""
    lacking = visit.asked("show") == "lacking"
    found, total = await client_needs.list(
        visit.who,
        home(visit.who),
        visit.asked("q"),
        lacking=lacking,
        limit=ROWS,
        offset=offset_of(visit.page_number()),
    )
    return visit.page(
        "clients/components.html",
        found=found,
        pager=visit.pager(total),
        search=visit.asked("q"),
        lacking=lacking,
        knows=visit.allows(GET_OAUTH_CLIENTS),
    )


@get("/components/{component_id:str}", media_type=MediaType.HTML)
async def component_page(
    component_id: PATH_ID,
    visit: NamedDependency[Visit],
    components: NamedDependency[Components],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
    auth_client_overview: NamedDependency[AuthClientOverview],
) -> Response[str]:
    """Show what a component asks of a client, and which clients there are for it."""
    tenant_id = home(visit.who)
    component = await components.get(visit.who, component_id)
    linked: Sequence[ListedAuthClient] = ()
    total = 0
    with suppress(Forbidden):
        linked, total = await auth_client_overview.list(
            visit.who, AuthClientFilter(component_id=component.id), limit=_LINKED, offset=0
        )
    return visit.page(
        "clients/component.html",
        component=component,
        is_own=component.tenant_id == tenant_id,
        need=(await client_needs.named(visit.who, tenant_id, [component.id])).get(component.id),
        registration=await registrations_by_hand.of(visit.who, tenant_id, component),
        linked=linked,
        linked_total=total,
        may_create=(await auth_client_overview.may(visit.who, "create", [], {})).anywhere,
        knows=visit.allows(GET_OAUTH_CLIENTS),
        methods=dict(CLIENT_AUTH),
    )
