"""`/console/oauth-clients`: the tenant's OAuth clients; to create, change, give another secret, and delete one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.api.oauth_clients import CreateOAuthClientBody, ReplaceOAuthClientBody, new_oauth_client
from keyrack.console.clients.deleted_clients import undo_of
from keyrack.console.clients.secret_fields import (
    AS_OF,
    CLIENT_AUTH,
    ENDS_ON,
    day_of,
    expiry_member,
    seen_at,
    seen_value,
)
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import (
    AlreadyExists,
    Forbidden,
    KeyrackError,
    NotFound,
    Problem,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.model.clients import ClientFilter
from keyrack.model.components import ComponentNeed
from keyrack.service.authz.access import home
from keyrack.service.authz.access_counts import trying
from keyrack.service.clients.client_attention import SOON
from keyrack.service.clients.oauth_clients import OAuthClients, OAuthClientView
from keyrack.service.clients.secret_expiry import REMINDER_DAYS
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.components.components import Components
from keyrack.service.consents.registration_by_hand import RegistrationByHand, RegistrationsByHand
from keyrack.service.deleted_clients.restoring import ClientRestoring

PATH = "/console/oauth-clients"
_DONE = {
    "created": "The client is stored. Members of your workspaces can connect their accounts now.",
    "existed": "There was a client for this component already; nothing was changed.",
    "changed": "The client is changed.",
    "secret": "The new secret is stored, and used from now on. You can revoke the old one at the provider.",
    "deleted": "The client is deleted.",
}
_FIELDS = {
    "/data/attributes/client_id": "client_id",
    "/data/attributes/client_secret": "client_secret",
    "/data/attributes/client_auth": "client_auth",
    "/data/attributes/secret_expires_at": ENDS_ON,
    "/data/relationships/component": "component",
}
_AS_DECLARED = ("", "As the component says")
_REFUSALS = (ValidationFailed, RelatedNotFound, AlreadyExists, StateConflict)


@get("/oauth-clients", media_type=MediaType.HTML)
async def oauth_client_list(
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
    deleted_clients: NamedDependency[ClientRestoring],
) -> Response[str]:
    """List the tenant's clients."""
    tenant_id, ending = home(visit.who), visit.asked("show") == "ending"
    wanted = ClientFilter(secret_expires_before=visit.console.sign_in.now() + SOON if ending else None)
    found, total = await oauth_clients.list(
        visit.who, tenant_id, wanted, limit=ROWS, offset=offset_of(visit.page_number())
    )
    return visit.page(
        "clients/oauth_clients.html",
        found=found,
        pager=visit.pager(total),
        names=await client_needs.named(visit.who, tenant_id, [each.client.component_id for each in found]),
        ending=ending,
        done=visit.done(_DONE),
        undo=await undo_of(visit, deleted_clients),
    )


@get("/oauth-clients/new", media_type=MediaType.HTML)
async def oauth_client_form(
    visit: NamedDependency[Visit],
    components: NamedDependency[Components],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
) -> Response[str]:
    """Show what to register for a component, and the form for what the provider then gives."""
    _require(visit, "create")
    tenant_id, component_id = home(visit.who), visit.asked("component")
    if not component_id:
        return visit.go("/console/components", show="lacking")
    component = await components.get(visit.who, component_id)
    need = (await client_needs.named(visit.who, tenant_id, [component_id])).get(component_id)
    if need is not None and need.oauth_client_id is not None:
        return visit.go(f"{PATH}/{need.oauth_client_id}", done="existed")
    registration = await registrations_by_hand.of(visit.who, tenant_id, component)
    return _new_page(visit, component_id, f"{component.team_name}/{component.name}", registration, {})


@post("/oauth-clients/new", media_type=MediaType.HTML)
async def oauth_client_created(
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    components: NamedDependency[Components],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
) -> Response[str]:
    """Create a client; the same form sent twice creates one."""
    form = await visit.form()
    once, tenant_id, component_id = once_of(visit, form), home(visit.who), form.text("component")
    data = {**_data(form, component_id, form.get("client_secret", "")), "type": "oauth-client"}
    body = UnvalidatedBody[CreateOAuthClientBody]({"data": data}, CreateOAuthClientBody)
    try:
        made, _ = await made_once(
            lambda: oauth_clients.get(visit.who, tenant_id, once.id),
            lambda: oauth_clients.create(visit.who, tenant_id, body.then(new_oauth_client), made_id=once.id),
        )
    except (ValidationFailed, AlreadyExists) as error:
        component = await components.get(visit.who, component_id)
        registration = await registrations_by_hand.of(visit.who, tenant_id, component)
        name = f"{component.team_name}/{component.name}"
        return _new_page(visit, component_id, name, registration, form, error)
    return visit.go(f"{PATH}/{made.client.id}", done="created")


@get("/oauth-clients/{oauth_client_id:str}", media_type=MediaType.HTML)
async def oauth_client_page(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    components: NamedDependency[Components],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
) -> Response[str]:
    """Show a client, when its secret ends, and what depends on it."""
    tenant_id = home(visit.who)
    view = await oauth_clients.get(visit.who, tenant_id, oauth_client_id)
    return visit.page(
        "clients/oauth_client.html",
        **await _about(visit, oauth_client_id, oauth_clients, client_needs),
        registration=await _registration(visit, view, components, registrations_by_hand),
        methods=dict(CLIENT_AUTH),
        done=visit.done(_DONE),
    )


@get("/oauth-clients/{oauth_client_id:str}/edit", media_type=MediaType.HTML)
async def oauth_client_edit(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show the form to change a client, all but its secret."""
    _require(visit, "edit")
    return await _edit_page(visit, oauth_client_id, oauth_clients, client_needs, "edit", None)


@post("/oauth-clients/{oauth_client_id:str}/edit", media_type=MediaType.HTML)
async def oauth_client_changed(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Change a client, all but its secret."""
    form = await visit.form()
    view = await oauth_clients.get(visit.who, home(visit.who), oauth_client_id)
    data = _data(form, view.client.component_id, "", view)
    try:
        await _replaced(visit, oauth_clients, oauth_client_id, data, form, keeps_secret=True)
    except _REFUSALS as error:
        return await _edit_page(visit, oauth_client_id, oauth_clients, client_needs, "edit", form, error)
    return visit.go(f"{PATH}/{oauth_client_id}", done="changed")


@get("/oauth-clients/{oauth_client_id:str}/secret", media_type=MediaType.HTML)
async def oauth_client_secret(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show the form for another secret."""
    _require(visit, "edit")
    return await _edit_page(visit, oauth_client_id, oauth_clients, client_needs, "secret", None)


@post("/oauth-clients/{oauth_client_id:str}/secret", media_type=MediaType.HTML)
async def oauth_client_secret_changed(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Give a client another secret."""
    form = await visit.form()
    view = await oauth_clients.get(visit.who, home(visit.who), oauth_client_id)
    given = Form(
        {
            "client_id": [view.client.client_id],
            "client_auth": [view.client.client_auth or ""],
            ENDS_ON: [form.get(ENDS_ON, "")],
        }
    )
    data = _data(given, view.client.component_id, form.get("client_secret", ""))
    try:
        if not form.get("client_secret", "").strip():
            raise ValidationFailed(Problem("enter the new secret", "/data/attributes/client_secret"))
        await _replaced(visit, oauth_clients, oauth_client_id, data, form, keeps_secret=False)
    except _REFUSALS as error:
        return await _edit_page(visit, oauth_client_id, oauth_clients, client_needs, "secret", form, error)
    return visit.go(f"{PATH}/{oauth_client_id}", done="secret")


@get("/oauth-clients/{oauth_client_id:str}/delete", media_type=MediaType.HTML)
async def oauth_client_to_delete(
    oauth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    oauth_clients: NamedDependency[OAuthClients],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show what the deletion of a client hits, before it is done."""
    _require(visit, "delete")
    about = await _about(visit, oauth_client_id, oauth_clients, client_needs)
    return visit.page("clients/oauth_client_delete.html", **about)


@post("/oauth-clients/{oauth_client_id:str}/delete", media_type=MediaType.HTML)
async def oauth_client_deleted(
    oauth_client_id: PATH_ID, visit: NamedDependency[Visit], oauth_clients: NamedDependency[OAuthClients]
) -> Response[str]:
    """Delete a client that no flow uses."""
    await visit.form()
    await oauth_clients.delete(visit.who, home(visit.who), oauth_client_id)
    return visit.go(PATH, done="deleted", undo=oauth_client_id)


def _require(visit: Visit, action: str) -> None:
    """Show a form only to who may send it; the use case decides again."""
    if not visit.allows(f"tenants.oauth_clients.{action}"):
        raise Forbidden(f"this needs the permission tenants.oauth_clients.{action}")


def _data(form: Form, component_id: str, secret: str, view: OAuthClientView | None = None) -> dict[str, Any]:
    """Return a form as the data of the body that the API takes."""
    stored = None if view is None else view.client.expiry.at
    return {
        "attributes": {
            "client_id": form.text("client_id"),
            "client_secret": secret,
            "client_auth": form.text("client_auth") or None,
            **expiry_member(form, stored),
        },
        "relationships": {"component": {"data": {"type": "component", "id": component_id}}},
    }


async def _replaced(
    visit: Visit,
    oauth_clients: OAuthClients,
    oauth_client_id: PATH_ID,
    data: Mapping[str, Any],
    form: Form,
    *,
    keeps_secret: bool,
) -> None:
    body = UnvalidatedBody[ReplaceOAuthClientBody]({"data": {**data, "type": "oauth-client"}}, ReplaceOAuthClientBody)
    new = body.then(lambda given: replace(new_oauth_client(given), keeps_secret=keeps_secret))
    await oauth_clients.replace(visit.who, home(visit.who), oauth_client_id, new, as_of=seen_at(form))


async def _about(
    visit: Visit, oauth_client_id: str, oauth_clients: OAuthClients, client_needs: ClientNeeds
) -> Mapping[str, Any]:
    """Return what all pages of one client show."""
    tenant_id = home(visit.who)
    view = await oauth_clients.get(visit.who, tenant_id, oauth_client_id)
    component_id = view.client.component_id
    need: ComponentNeed | None = (await client_needs.named(visit.who, tenant_id, [component_id])).get(component_id)
    return {
        "client": view.client,
        "component_visible": view.component_visible,
        "need": need,
        "name": component_id if need is None else need.full_name,
        "usage": await oauth_clients.usage(visit.who, tenant_id, oauth_client_id),
        "reminder_days": REMINDER_DAYS,
    }


async def _registration(
    visit: Visit, view: OAuthClientView, components: Components, registrations: RegistrationsByHand
) -> RegistrationByHand | None:
    """Return what the client's component asks for, if the component is still there and the visitor sees it."""
    try:
        with trying():
            component = await components.get(visit.who, view.client.component_id)
    except NotFound:
        return None
    return await registrations.of(visit.who, home(visit.who), component)


def _new_page(
    visit: Visit,
    component_id: PATH_ID,
    name: str,
    registration: RegistrationByHand,
    form: Mapping[str, str],
    error: KeyrackError | None = None,
) -> Response[str]:
    wrong, others = problems_by_field(error, _FIELDS)
    if "component" in wrong:
        others = [*others, wrong["component"]]
    return visit.page(
        "clients/oauth_client_new.html",
        status=200 if error is None else 400,
        component_id=component_id,
        name=name,
        registration=registration,
        form=form,
        once=form.get(FIELD) or new_once(visit),
        wrong=wrong,
        others=others,
        choices=[_AS_DECLARED, *CLIENT_AUTH],
        methods=dict(CLIENT_AUTH),
        reminder_days=REMINDER_DAYS,
    )


async def _edit_page(
    visit: Visit,
    oauth_client_id: PATH_ID,
    oauth_clients: OAuthClients,
    client_needs: ClientNeeds,
    kind: str,
    form: Form | None,
    error: KeyrackError | None = None,
) -> Response[str]:
    """Return the page with the form for a client's secret, or for all but that."""
    about = await _about(visit, oauth_client_id, oauth_clients, client_needs)
    client = about["client"]
    wrong, others = problems_by_field(error, _FIELDS)
    stored = {
        "client_id": client.client_id,
        "client_auth": client.client_auth or "",
        ENDS_ON: day_of(client.expiry.at) if kind == "edit" else "",
        AS_OF: seen_value(client.updated_at),
    }
    return visit.page(
        f"clients/oauth_client_{kind}.html",
        status=200 if error is None else 400,
        **about,
        form=stored if form is None else {**stored, **form},
        wrong=wrong,
        others=others,
        choices=[_AS_DECLARED, *CLIENT_AUTH],
    )
