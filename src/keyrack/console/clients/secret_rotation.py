"""`/console/.../rotation`: a client's secret is exchanged for another, and what hangs on the client is shown first."""

from collections.abc import Mapping
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
_END = "end"
_DONE = {
    "begun": "The new secret is stored beside the old one. It is being tried; look here again in a moment.",
    "promoted": "The new secret is used now. The old one stays beside it for a while.",
    "rolled_back": "The old secret is used. The new one stays beside it.",
    "trying": "The new secret is being tried again; look here again in a moment.",
    "end": "The rotation has ended; one secret is left.",
}


@get("/auth-clients/{auth_client_id:str}/rotation", media_type=MediaType.HTML)
async def auth_client_rotation(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
) -> Response[str]:
    """Show how the rotation of an auth client's secret stands, or the form to begin one."""
    about = await _auth_client(visit, auth_client_id, auth_client_overview, auth_client_usage)
    rotation = await _rotation(visit, secret_rotations, auth_client_id, "auth-client")
    return _page(visit, about, rotation)


@post("/auth-clients/{auth_client_id:str}/rotation", media_type=MediaType.HTML)
async def auth_client_rotation_moved(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
) -> Response[str]:
    """Begin a rotation, move it on by hand, or end it."""
    form = await visit.form()
    wanted = form.text("do")
    try:
        if wanted == _END:
            await secret_rotations.end_of_auth_client(visit.who, auth_client_id)
        elif wanted in set(RotationState):
            state = Unvalidated(lambda: RotationState(wanted))
            await secret_rotations.move_of_auth_client(visit.who, auth_client_id, state)
        else:
            wanted = "begun"
            await secret_rotations.begin_for_auth_client(visit.who, auth_client_id, _new_secret(form))
    except (ValidationFailed, StateConflict) as error:
        about = await _auth_client(visit, auth_client_id, auth_client_overview, auth_client_usage)
        rotation = await _rotation(visit, secret_rotations, auth_client_id, "auth-client")
        return _page(visit, about, rotation, form, error)
    return visit.go(f"{auth_client_pages.PATH}/{auth_client_id}/rotation", done=wanted)


@get("/oauth-clients/{oauth_client_id:str}/rotation", media_type=MediaType.HTML)
async def oauth_client_rotation(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show how the rotation of an OAuth client's secret stands, or the form to begin one."""
    about = await _oauth_client(visit, oauth_client_id, oauth_clients, client_needs)
    rotation = await _rotation(visit, secret_rotations, oauth_client_id, "oauth-client")
    return _page(visit, about, rotation)


@post("/oauth-clients/{oauth_client_id:str}/rotation", media_type=MediaType.HTML)
async def oauth_client_rotation_moved(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    secret_rotations: NamedDependency[SecretRotations],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Begin a rotation, move it on by hand, or end it."""
    form, tenant_id = await visit.form(), home(visit.who)
    wanted = form.text("do")
    try:
        if wanted == _END:
            await secret_rotations.end_of_oauth_client(visit.who, tenant_id, oauth_client_id)
        elif wanted in set(RotationState):
            state = Unvalidated(lambda: RotationState(wanted))
            await secret_rotations.move_of_oauth_client(visit.who, tenant_id, oauth_client_id, state)
        else:
            wanted = "begun"
            await secret_rotations.begin_for_oauth_client(visit.who, tenant_id, oauth_client_id, _new_secret(form))
    except (ValidationFailed, StateConflict) as error:
        about = await _oauth_client(visit, oauth_client_id, oauth_clients, client_needs)
        rotation = await _rotation(visit, secret_rotations, oauth_client_id, "oauth-client")
        return _page(visit, about, rotation, form, error)
    return visit.go(f"{_OAUTH_PATH}/{oauth_client_id}/rotation", done=wanted)


_OAUTH_PATH = oauth_clients.PATH


def _new_secret(form: Form) -> Unvalidated[NewSecret]:
    given = {"client_secret": form.get("client_secret", ""), **expiry_member(form)}
    body = UnvalidatedBody[BeginRotationBody]({"data": {"type": KIND, "attributes": given}}, BeginRotationBody)
    return body.then(BeginRotationBody.command)


async def _rotation(visit: Visit, rotations: SecretRotations, client_id: str, kind: str) -> SecretRotation | None:
    try:
        if kind == "auth-client":
            return await rotations.of_auth_client(visit.who, client_id)
        return await rotations.of_oauth_client(visit.who, home(visit.who), client_id)
    except NotFound:  # the client itself has been found before
        return None


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


def _page(
    visit: Visit,
    about: Mapping[str, Any],
    rotation: SecretRotation | None,
    form: Form | None = None,
    error: KeyrackError | None = None,
) -> Response[str]:
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
