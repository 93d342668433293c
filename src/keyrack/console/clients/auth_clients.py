"""`/console/auth-clients`: auth clients of all scopes; how each is; to change and delete them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.auth_client_documents import ChangeAuthClientBody
from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.console.clients.auth_client_form import (
    FIELDS,
    YES_OR_NO,
    changed_data,
    secret_data,
    stored_values,
)
from keyrack.console.clients.auth_client_pages import (
    AS_DECLARED,
    PATH,
    REFUSALS,
    component_names,
    components_of,
    redirect_uri_for,
)
from keyrack.console.clients.deleted_clients import undo_of
from keyrack.console.clients.secret_fields import AS_OF, CLIENT_AUTH, ENDS_ON, seen_at, seen_value
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, KeyrackError, NotFound
from keyrack.model import Json
from keyrack.model.clients import OAUTH2_TYPES, AuthClientFilter, AuthClientScope
from keyrack.service.authz.access_counts import trying
from keyrack.service.clients.auth_client_credentials import redirect_uri_of
from keyrack.service.clients.auth_client_overview import AuthClientOverview, KnownAuthClient
from keyrack.service.clients.auth_client_profile import direct_grant
from keyrack.service.clients.auth_client_usage import AuthClientUsage, AuthClientUsageReader
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.client_attention import SOON
from keyrack.service.clients.secret_expiry import REMINDER_DAYS
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.consents.registration_by_hand import RegistrationsByHand
from keyrack.service.deleted_clients.restoring import ClientRestoring

_DONE = {
    "created": "The auth client is stored.",
    "changed": "The auth client is changed.",
    "secret": "The new secret is stored, and used from now on. Connections that waited are renewed by themselves.",
    "retry": "The client is tried again. If its provider still rejects it, that shows here soon.",
    "deleted": "The auth client is deleted.",
}
_SCOPES = ("global", "tenant", "contract", "workspace")
_MOST_NAMES = 100
"""Of how many components of a client a page shows the names."""


@get("/auth-clients", media_type=MediaType.HTML)
async def auth_client_list(
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
    deleted_clients: NamedDependency[ClientRestoring],
) -> Response[str]:
    """List the clients of all scopes that the visitor knows of, rejected ones first."""
    asked = {name: visit.asked(name) for name in ("q", "type", "scope", "show", "component")}
    ending = visit.console.sign_in.now() + SOON if asked["show"] == "ending" else None
    wanted = AuthClientFilter(
        search=asked["q"],
        type=asked["type"],
        scope=cast("AuthClientScope", asked["scope"]) if asked["scope"] in _SCOPES else None,
        component_id=asked["component"] or None,
        rejected=asked["show"] == "rejected",
        secret_expires_before=ending,
    )
    found, total = await auth_client_overview.list(visit.who, wanted, limit=ROWS, offset=offset_of(visit.page_number()))
    names = await component_names(visit, client_needs, [asked["component"]] if asked["component"] else [])
    return visit.page(
        "clients/auth_clients.html",
        found=found,
        pager=visit.pager(total),
        asked=asked,
        component_name=names.get(asked["component"], asked["component"]),
        narrowed=any(asked.values()),
        may_create=(await auth_client_overview.may(visit.who, "create", [], {})).anywhere,
        may_restore=visit.who.tenant_id is not None
        and (await auth_client_overview.may(visit.who, "delete", [], {})).anywhere,
        done=visit.done(_DONE),
        undo=await undo_of(visit, deleted_clients),
    )


@get("/auth-clients/{auth_client_id:str}", media_type=MediaType.HTML)
async def auth_client_page(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
) -> Response[str]:
    """Show a client: how it is, what is known of it, and what hangs on it."""
    known = await auth_client_overview.get(visit.who, auth_client_id)
    about = await _about(visit, known, auth_client_usage, client_needs)
    return visit.page(
        "clients/auth_client.html",
        **about,
        redirect_uri=redirect_uri_of(known.client) or await redirect_uri_for(visit, registrations_by_hand),
        methods=dict(CLIENT_AUTH),
        is_direct=direct_grant(known.client) is not None,
        done=visit.done(_DONE),
    )


@get("/auth-clients/{auth_client_id:str}/edit", media_type=MediaType.HTML)
async def auth_client_edit(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show the form to change a client, all but its secret."""
    known = await _editable(visit, auth_client_overview, auth_client_id)
    return await _edit_page(visit, known, client_needs, "edit", None, None)


@post("/auth-clients/{auth_client_id:str}/edit", media_type=MediaType.HTML)
async def auth_client_changed(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_clients: NamedDependency[AuthClients],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Change a client, all but its secret."""
    form = await visit.form()
    known = await _editable(visit, auth_client_overview, auth_client_id)
    try:
        data = changed_data(form, known.client, await components_of(visit, client_needs, form))
        await _change(visit, auth_clients, auth_client_id, data, form)
    except REFUSALS as error:
        return await _edit_page(visit, known, client_needs, "edit", form, error)
    return visit.go(f"{PATH}/{auth_client_id}", done="changed")


@get("/auth-clients/{auth_client_id:str}/secret", media_type=MediaType.HTML)
async def auth_client_secret(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show the form for another secret."""
    known = await _editable(visit, auth_client_overview, auth_client_id)
    return await _edit_page(visit, known, client_needs, "secret", None, None)


@post("/auth-clients/{auth_client_id:str}/secret", media_type=MediaType.HTML)
async def auth_client_secret_changed(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_clients: NamedDependency[AuthClients],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Give a client another secret, which ends its provider's rejection of it (contract 0.13)."""
    form = await visit.form()
    known = await _editable(visit, auth_client_overview, auth_client_id)
    try:
        await _change(visit, auth_clients, auth_client_id, secret_data(form, known.client), form)
    except REFUSALS as error:
        return await _edit_page(visit, known, client_needs, "secret", form, error)
    return visit.go(f"{PATH}/{auth_client_id}", done="secret")


@post("/auth-clients/{auth_client_id:str}/retry", media_type=MediaType.HTML)
async def auth_client_retried(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_clients: NamedDependency[AuthClients],
    auth_client_overview: NamedDependency[AuthClientOverview],
) -> Response[str]:
    """Let a rejected client be tried as it is, because something was mended at its provider (contract 0.13)."""
    await visit.form()
    known = await _editable(visit, auth_client_overview, auth_client_id)
    credentials: Json = {} if known.client.type in OAUTH2_TYPES else known.client.credentials
    data = {"type": "auth-client", "attributes": {"credentials": credentials}}
    body = UnvalidatedBody[ChangeAuthClientBody]({"data": data}, ChangeAuthClientBody)
    await auth_clients.change(visit.who, auth_client_id, body.then(ChangeAuthClientBody.command))
    return visit.go(f"{PATH}/{auth_client_id}", done="retry")


@get("/auth-clients/{auth_client_id:str}/delete", media_type=MediaType.HTML)
async def auth_client_to_delete(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Show what the deletion of a client hits, before it is done."""
    known = await auth_client_overview.get(visit.who, auth_client_id)
    if not known.may_delete:
        raise Forbidden("this needs the permission global.auth_clients.delete, held at the auth client's scope")
    about = await _about(visit, known, auth_client_usage, client_needs)
    return visit.page("clients/auth_client_delete.html", **about)


@post("/auth-clients/{auth_client_id:str}/delete", media_type=MediaType.HTML)
async def auth_client_deleted(
    auth_client_id: PATH_ID, visit: NamedDependency[Visit], auth_clients: NamedDependency[AuthClients]
) -> Response[str]:
    """Delete a client that no connection uses."""
    await visit.form()
    await auth_clients.delete(visit.who, auth_client_id)
    return visit.go(PATH, done="deleted", undo=auth_client_id)


async def _editable(visit: Visit, overview: AuthClientOverview, auth_client_id: str) -> KnownAuthClient:
    """Return a client that the visitor may change, and see as it is; the use case decides again."""
    known = await overview.get(visit.who, auth_client_id)
    if not known.may_edit or known.credentials is None:
        raise Forbidden("this needs the permissions global.auth_clients.get and edit, held at the auth client's scope")
    return known


async def _change(visit: Visit, auth_clients: AuthClients, auth_client_id: str, data: Json, form: Form) -> None:
    body = UnvalidatedBody[ChangeAuthClientBody]({"data": data}, ChangeAuthClientBody)
    new = body.then(ChangeAuthClientBody.command)
    await auth_clients.change(visit.who, auth_client_id, new, as_of=seen_at(form))


async def _about(
    visit: Visit, known: KnownAuthClient, reader: AuthClientUsageReader, client_needs: ClientNeeds
) -> Mapping[str, Any]:
    """Return what all pages of one client show."""
    usage: AuthClientUsage | None = None
    with trying(), suppress(NotFound):  # who sees it from inside of its scope only
        number = visit.page_number("flows")
        usage = await reader.of(
            visit.who, known.client.id, limit=ROWS, offset=offset_of(number), search=visit.asked("flow")
        )
    return {
        "known": known,
        "client": known.client,
        "listed": known.listed,
        "is_oauth2": known.client.type in OAUTH2_TYPES,
        "usage": usage,
        "flow": visit.asked("flow"),
        "flow_pager": visit.pager(0 if usage is None else usage.known_flow_total, "flows"),
        "names": await component_names(visit, client_needs, known.client.component_ids[:_MOST_NAMES]),
        "reminder_days": REMINDER_DAYS,
    }


async def _edit_page(
    visit: Visit,
    known: KnownAuthClient,
    client_needs: ClientNeeds,
    kind: str,
    form: Form | None,
    error: KeyrackError | None,
) -> Response[str]:
    """Return the page with the form for a client's secret, or for all but that."""
    client = known.client
    names = await component_names(visit, client_needs, client.component_ids)
    stored = {
        **stored_values(client),
        "components": "\n".join(names.get(each, each) for each in client.component_ids),
        AS_OF: seen_value(client.updated_at),
        **({ENDS_ON: ""} if kind == "secret" else {}),
    }
    wrong, others = problems_by_field(error, FIELDS)
    typed = {} if form is None else {"pkce": "", **form}
    return visit.page(
        f"clients/auth_client_{kind}.html",
        status=200 if error is None else 400,
        known=known,
        client=client,
        listed=known.listed,
        is_oauth2=client.type in OAUTH2_TYPES,
        form={**stored, **typed},
        wrong=wrong,
        others=others,
        choices=[AS_DECLARED, *CLIENT_AUTH],
        yes_or_no=YES_OR_NO,
        reminder_days=REMINDER_DAYS,
    )
