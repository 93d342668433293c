"""`/console/.../rotation`: a client's secret is exchanged for another, and what hangs on the client is shown first."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.api.secret_rotations import KIND, BeginRotationBody
from keyrack.console.clients import auth_client_pages, oauth_clients
from keyrack.console.clients.secret_fields import ENDS_ON, expiry_member
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, KeyrackError, NotFound, StateConflict, ValidationFailed
from keyrack.model.rotations import RotationState, SecretRotation
from keyrack.service.authz.access import home
from keyrack.service.clients.auth_client_overview import AuthClientOverview
from keyrack.service.clients.auth_client_usage import AuthClientUsageReader
from keyrack.service.clients.oauth_clients import OAuthClients
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.rotation.secret_rotations import SecretRotations
from keyrack.service.rotation.steps import NewSecret
from keyrack.validation.unvalidated import Unvalidated

_FIELDS = {"/data/attributes/client_secret": "client_secret", "/data/attributes/secret_expires_at": ENDS_ON}
_OAUTH_PATH = oauth_clients.PATH
_END = "end"
_DONE = {
    "begun": "The new secret is stored beside the old one. It is being tried; look here again in a moment.",
    "promoted": "The new secret is used now. The old one stays beside it for a while.",
    "rolled_back": "The old secret is used. The new one stays beside it.",
    "trying": "The new secret is being tried again; look here again in a moment.",
    "end": "The rotation has ended; one secret is left.",
}


@dataclass(frozen=True, slots=True)
class _Client:
    """A client on its page: where that is, what is said of it, and what can be done to the rotation of its secret."""

    path: str
    about: Callable[[], Awaitable[Mapping[str, Any]]]
    rotation: Callable[[], Awaitable[SecretRotation]]
    begin: Callable[[Unvalidated[NewSecret]], Awaitable[SecretRotation]]
    move: Callable[[Unvalidated[RotationState]], Awaitable[SecretRotation]]
    end: Callable[[], Awaitable[None]]


@get("/auth-clients/{auth_client_id:str}/rotation", media_type=MediaType.HTML)
async def auth_client_rotation(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
) -> Response[str]:
    """Show how the rotation of an auth client's secret stands, or the form to begin one."""
    return await _page(
        visit, _of_auth_client(visit, auth_client_id, secret_rotations, auth_client_overview, auth_client_usage)
    )


@post("/auth-clients/{auth_client_id:str}/rotation", media_type=MediaType.HTML)
async def auth_client_rotation_moved(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
) -> Response[str]:
    """Begin a rotation, move it on by hand, or end it."""
    return await _moved(
        visit, _of_auth_client(visit, auth_client_id, secret_rotations, auth_client_overview, auth_client_usage)
    )


@get("/oauth-clients/{oauth_client_id:str}/rotation", media_type=MediaType.HTML)
async def oauth_client_rotation(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show how the rotation of an OAuth client's secret stands, or the form to begin one."""
    return await _page(visit, _of_oauth_client(visit, oauth_client_id, secret_rotations, oauth_clients, client_needs))


@post("/oauth-clients/{oauth_client_id:str}/rotation", media_type=MediaType.HTML)
async def oauth_client_rotation_moved(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Begin a rotation, move it on by hand, or end it."""
    return await _moved(visit, _of_oauth_client(visit, oauth_client_id, secret_rotations, oauth_clients, client_needs))


def _of_auth_client(
    visit: Visit, client_id: str, rotations: SecretRotations, overview: AuthClientOverview, usage: AuthClientUsageReader
) -> _Client:
    who = visit.who
    return _Client(
        path=f"{auth_client_pages.PATH}/{client_id}/rotation",
        about=partial(_auth_client, visit, client_id, overview, usage),
        rotation=partial(rotations.of_auth_client, who, client_id),
        begin=partial(rotations.begin_for_auth_client, who, client_id),
        move=partial(rotations.move_of_auth_client, who, client_id),
        end=partial(rotations.end_of_auth_client, who, client_id),
    )


def _of_oauth_client(
    visit: Visit, client_id: str, rotations: SecretRotations, clients: OAuthClients, needs: ClientNeeds
) -> _Client:
    who, tenant_id = visit.who, home(visit.who)
    return _Client(
        path=f"{_OAUTH_PATH}/{client_id}/rotation",
        about=partial(_oauth_client, visit, client_id, clients, needs),
        rotation=partial(rotations.of_oauth_client, who, tenant_id, client_id),
        begin=partial(rotations.begin_for_oauth_client, who, tenant_id, client_id),
        move=partial(rotations.move_of_oauth_client, who, tenant_id, client_id),
        end=partial(rotations.end_of_oauth_client, who, tenant_id, client_id),
    )


async def _moved(visit: Visit, client: _Client) -> Response[str]:
    form = await visit.form()
    wanted = form.text("do")
    try:
        if wanted == _END:
            await client.end()
        elif wanted in set(RotationState):
            await client.move(Unvalidated(lambda: RotationState(wanted)))
        else:
            wanted = "begun"
            await client.begin(_new_secret(form))
    except (ValidationFailed, StateConflict) as error:
        return await _page(visit, client, form, error)
    return visit.go(client.path, done=wanted)


def _new_secret(form: Form) -> Unvalidated[NewSecret]:
    given = {"client_secret": form.get("client_secret", ""), **expiry_member(form)}
    body = UnvalidatedBody[BeginRotationBody]({"data": {"type": KIND, "attributes": given}}, BeginRotationBody)
    return body.then(BeginRotationBody.command)


async def _auth_client(
    visit: Visit, auth_client_id: str, overview: AuthClientOverview, reader: AuthClientUsageReader
) -> Mapping[str, Any]:
    known = await overview.get(visit.who, auth_client_id)
    if not known.may_edit or known.credentials is None:
        raise Forbidden("this needs the permissions global.auth_clients.get and edit, held at the auth client's scope")
    usage = await reader.of(visit.who, auth_client_id, limit=1, offset=0)
    return {
        "name": known.client.name,
        "listed": ("Auth clients", auth_client_pages.PATH),
        "back": f"{auth_client_pages.PATH}/{auth_client_id}",
        "counts": [
            ("Connections", usage.secrets),
            ("Workspaces", usage.workspaces),
            ("Users", usage.users),
            ("Flows", usage.flows),
        ],
        "refreshes_itself": False,
    }


async def _oauth_client(
    visit: Visit, oauth_client_id: str, clients: OAuthClients, client_needs: ClientNeeds
) -> Mapping[str, Any]:
    if not visit.allows("tenants.oauth_clients.edit"):
        raise Forbidden("this needs the permission tenants.oauth_clients.edit")
    tenant_id = home(visit.who)
    view = await clients.get(visit.who, tenant_id, oauth_client_id)
    component_id = view.client.component_id
    need = (await client_needs.named(visit.who, tenant_id, [component_id])).get(component_id)
    usage = await clients.usage(visit.who, tenant_id, oauth_client_id)
    return {
        "name": component_id if need is None else need.full_name,
        "listed": ("OAuth clients", _OAUTH_PATH),
        "back": f"{_OAUTH_PATH}/{oauth_client_id}",
        "counts": [
            ("Credentials", usage.credentials),
            ("Workspaces", usage.workspaces),
            ("Flows that you may know of", len(usage.flows)),
        ],
        "refreshes_itself": True,
    }


async def _page(
    visit: Visit, client: _Client, form: Form | None = None, error: KeyrackError | None = None
) -> Response[str]:
    about, rotation = await client.about(), None
    with suppress(NotFound):  # the client itself has been found
        rotation = await client.rotation()
    wrong, others = problems_by_field(error, _FIELDS)
    return visit.page(
        "clients/secret_rotation.html",
        status=200 if error is None else 400,
        **about,
        rotation=rotation,
        form=form or {},
        wrong=wrong,
        others=others,
        done=visit.done(_DONE),
    )
