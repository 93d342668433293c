"""`/console/workspaces/{W}`: the workspace's connections, what is broken first."""

from collections.abc import Sequence

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.secrets.health import Health, health_of
from keyrack.console.tenancy.workspace_place import SECRET_EDIT, WorkspacePlace
from keyrack.model.secrets import SecretFilter, SecretState
from keyrack.service.authz.permissions import GET_SECRET
from keyrack.service.consents.connect_form import CONNECT, ClientChoice, ConnectForms
from keyrack.service.secrets.connections import Connection, Connections

_FILTERS = ("q", "state", "auth_client", "component")
_MOST_CLIENTS = 100
_STATES = (("", "Any"), ("error", "Needs attention"), ("ready", "Usable"), ("scopes", "Scopes missing"))
DONE = {
    "deleted": "The connection is deleted. Where the provider lets us, its token is revoked there.",
}


@get("/workspaces/{workspace_id:str}", media_type=MediaType.HTML)
async def connection_list(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connections: NamedDependency[Connections],
    connect_forms: NamedDependency[ConnectForms],
) -> Response[str]:
    """List them, narrowed as the address says; without a filter those that need attention stand above all others."""
    if not place.own.allows(GET_SECRET):
        return visit.go(f"{place.path}/credentials")
    asked = {name: visit.asked(name) for name in _FILTERS}
    offset = offset_of(visit.page_number())
    found, total = await connections.list(visit.who, place.id, _wanted(asked), limit=ROWS, offset=offset)
    broken: Sequence[Connection] = ()
    broken_total = 0
    if not any(asked.values()):
        failing = SecretFilter(state=SecretState.error)
        start = offset_of(visit.page_number("broken"))
        broken, broken_total = await connections.list(visit.who, place.id, failing, limit=ROWS, offset=start)
    return visit.page(
        "secrets/connections.html",
        place=place,
        tabs=place.tabs(""),
        asked=asked,
        states=_STATES,
        clients=await _clients(visit, place, connect_forms),
        rows=_with_health(found),
        pager=visit.pager(total),
        broken=_with_health(broken),
        broken_pager=visit.pager(broken_total, "broken"),
        may_reconnect=place.own.is_member and place.own.allows(SECRET_EDIT),
        done=visit.done(DONE),
    )


def _with_health(found: Sequence[Connection]) -> Sequence[tuple[Connection, Health]]:
    return [(each, health_of(each)) for each in found]


def _wanted(asked: dict[str, str]) -> SecretFilter:
    return SecretFilter(
        auth_client_id=asked["auth_client"] or None,
        state=SecretState(asked["state"]) if asked["state"] in set(SecretState) else None,
        scopes_missing=asked["state"] == "scopes",
        component_id=asked["component"] or None,
        named=asked["q"],
    )


async def _clients(visit: Visit, place: WorkspacePlace, connect_forms: ConnectForms) -> Sequence[ClientChoice]:
    """Return what can be chosen from; those who may not connect narrow by name and state alone."""
    if not (place.own.is_member and place.own.allows(CONNECT[0])):
        return ()
    found, _ = await connect_forms.clients(visit.who, place.id, "", limit=_MOST_CLIENTS, offset=0)
    return found
