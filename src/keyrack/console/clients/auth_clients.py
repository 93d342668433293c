"""`/console/auth-clients`: auth clients of all scopes; to see how each is, and to create, change and delete them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.auth_client_documents import ChangeAuthClientBody, CreateAuthClientBody, ScopeOnlyBody
from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.console.clients.auth_client_form import (
    COMPONENTS_POINTER,
    FIELDS,
    INPUT,
    OTHER,
    YES_OR_NO,
    changed_data,
    fields_of_inputs,
    lines_of,
    new_data,
    secret_data,
    stored_values,
)
from keyrack.console.clients.secret_fields import AS_OF, CLIENT_AUTH, ENDS_ON, seen_at, seen_value
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, SOME_MEMBERS, offset_of
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, KeyrackError, NotFound, Problem, RelatedNotFound, StateConflict, ValidationFailed
from keyrack.ids import is_id
from keyrack.model import Json
from keyrack.model.clients import OAUTH2_TYPES, AuthClientFilter, AuthClientScope
from keyrack.service.clients.auth_client_overview import AuthClientOverview, KnownAuthClient, PermittedScopes
from keyrack.service.clients.auth_client_usage import AuthClientUsage, AuthClientUsageReader
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.client_attention import SOON
from keyrack.service.clients.provider_profiles import ProviderProfiles
from keyrack.service.clients.secret_expiry import REMINDER_DAYS
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.consents.client_registration import ClientRegistrations
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.validation.unvalidated import Unvalidated

PATH = "/console/auth-clients"
_DONE = {
    "created": "The auth client is stored.",
    "changed": "The auth client is changed.",
    "secret": "The new secret is stored, and used from now on. Connections that waited are renewed by themselves.",
    "retry": "The client is tried again. If its provider still rejects it, that shows here soon.",
    "deleted": "The auth client is deleted.",
}
_SCOPES = ("global", "tenant", "contract", "workspace")
_PLACES = 100
"""How many contracts and workspaces a form offers; of others the id is entered."""
_AS_DECLARED = ("", "As a linked component says, else in the body of the request")
_AS_KNOWN = ("", "As the provider wants it")
_REFUSALS = (ValidationFailed, RelatedNotFound, StateConflict)


@get("/auth-clients", media_type=MediaType.HTML)
async def auth_client_list(
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
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
    names = await _component_names(visit, client_needs, [asked["component"]] if asked["component"] else [])
    return visit.page(
        "clients/auth_clients.html",
        found=found,
        pager=visit.pager(total),
        asked=asked,
        component_name=names.get(asked["component"], asked["component"]),
        narrowed=any(asked.values()),
        may_create=(await auth_client_overview.may(visit.who, "create", [], {})).anywhere,
        done=visit.done(_DONE),
    )


@get("/auth-clients/new", media_type=MediaType.HTML)
async def auth_client_form(
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
    client_registrations: NamedDependency[ClientRegistrations],
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    provider_profiles: NamedDependency[ProviderProfiles],
) -> Response[str]:
    """Show the form for a new client."""
    asked = visit.asked("component")
    names = await _component_names(visit, client_needs, [asked] if asked else [])
    scope = f"workspace:{visit.asked('workspace')}" if visit.asked("workspace") else ""
    form = {"type": visit.asked("type") or "oauth2", "components": names.get(asked, asked), "pkce": "on"}
    form["provider"] = visit.asked("provider")
    places = await _places(visit, auth_client_overview, contracts, workspaces)
    form["scope"] = scope
    return await _new_page(visit, client_registrations, provider_profiles, places, form, None)


@post("/auth-clients/new", media_type=MediaType.HTML)
async def auth_client_created(
    visit: NamedDependency[Visit],
    auth_clients: NamedDependency[AuthClients],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
    client_registrations: NamedDependency[ClientRegistrations],
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    provider_profiles: NamedDependency[ProviderProfiles],
) -> Response[str]:
    """Create a client; the same form sent twice creates one."""
    form = await visit.form()
    once = once_of(visit, form)
    try:
        data = new_data(form, await _components(visit, client_needs, form), visit.who.tenant_id)
        body = UnvalidatedBody[CreateAuthClientBody]({"data": data}, CreateAuthClientBody)
        scope = Unvalidated(lambda: body.validated_as(ScopeOnlyBody).only())
        new = body.then(CreateAuthClientBody.command)
        await made_once(
            lambda: auth_clients.get(visit.who, once.id, None),
            lambda: auth_clients.create(visit.who, scope, new, made_id=once.id),
        )
    except _REFUSALS as error:
        places = await _places(visit, auth_client_overview, contracts, workspaces)
        return await _new_page(visit, client_registrations, provider_profiles, places, form, error)
    return visit.go(f"{PATH}/{once.id}", done="created")


@get("/auth-clients/{auth_client_id:str}", media_type=MediaType.HTML)
async def auth_client_page(
    auth_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    auth_client_usage: NamedDependency[AuthClientUsageReader],
    client_needs: NamedDependency[ClientNeeds],
    client_registrations: NamedDependency[ClientRegistrations],
) -> Response[str]:
    """Show a client: how it is, what is known of it, and what hangs on it."""
    known = await auth_client_overview.get(visit.who, auth_client_id)
    about = await _about(visit, known, auth_client_usage, client_needs)
    return visit.page(
        "clients/auth_client.html",
        **about,
        redirect_uri=await _redirect_uri(visit, client_registrations),
        methods=dict(CLIENT_AUTH),
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
        data = changed_data(form, known.client, await _components(visit, client_needs, form))
        await _change(visit, auth_clients, auth_client_id, data, form)
    except _REFUSALS as error:
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
    except _REFUSALS as error:
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
    return visit.go(PATH, done="deleted")


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


async def _components(visit: Visit, client_needs: ClientNeeds, form: Form) -> Sequence[str]:
    """Return the ids of the components that a form names, by id or as `team/component`.

    Raises:
        ValidationFailed: one is not there, or there is none.
    """
    lines, tenant_id = list(dict.fromkeys(lines_of(form, "components"))), visit.who.tenant_id
    names = [line for line in lines if not is_id(line)]
    ids = {} if tenant_id is None else await client_needs.identified(visit.who, tenant_id, names)
    missing = [name for name in names if name not in ids]
    if missing:
        raise ValidationFailed(Problem(f"there is no component {missing[0]}", COMPONENTS_POINTER))
    if not lines:
        raise ValidationFailed(Problem("name at least one component", COMPONENTS_POINTER))
    return [ids.get(line, line) for line in lines]


async def _component_names(visit: Visit, client_needs: ClientNeeds, ids: Sequence[str]) -> Mapping[str, str]:
    """Return names by id, as far as the visitor may see them."""
    if visit.who.tenant_id is None:
        return {}
    found = await client_needs.named(visit.who, visit.who.tenant_id, ids)
    return {each.id: each.full_name for each in found.values()}


async def _redirect_uri(visit: Visit, registrations: ClientRegistrations) -> str:
    """Return the address to register; of a global client each tenant has its own, unless all have one."""
    return "" if visit.who.tenant_id is None else await registrations.redirect_uri(visit.who, visit.who.tenant_id)


async def _about(
    visit: Visit, known: KnownAuthClient, reader: AuthClientUsageReader, client_needs: ClientNeeds
) -> Mapping[str, Any]:
    """Return what all pages of one client show."""
    usage: AuthClientUsage | None = None
    with suppress(NotFound):  # who sees it from inside of its scope only
        number = visit.page_number("flows")
        usage = await reader.of(visit.who, known.client.id, limit=ROWS, offset=offset_of(number))
    return {
        "known": known,
        "client": known.client,
        "listed": known.listed,
        "is_oauth2": known.client.type in OAUTH2_TYPES,
        "usage": usage,
        "flow_pager": visit.pager(0 if usage is None else usage.known_flow_total, "flows"),
        "names": await _component_names(visit, client_needs, known.client.component_ids[:_PLACES]),
        "reminder_days": REMINDER_DAYS,
    }


async def _places(
    visit: Visit, overview: AuthClientOverview, contracts: Contracts, workspaces: Workspaces
) -> Sequence[tuple[str, str]]:
    """Return the scopes in which the visitor may create clients, as far as a form offers them, each with its text.

    Raises:
        Forbidden: there is none.
    """
    who = visit.who
    if who.tenant_id is None:
        permitted = await overview.may(who, "create", [], {})
        found = [("global", "All tenants")] if permitted.everyones else []
    else:
        found = await _places_of_tenant(visit, overview, contracts, workspaces)
    if not found:
        raise Forbidden("this needs the permission global.auth_clients.create, held at the auth client's scope")
    return found


async def _places_of_tenant(
    visit: Visit, overview: AuthClientOverview, contracts: Contracts, workspaces: Workspaces
) -> list[tuple[str, str]]:
    around, _ = await contracts.list(visit.who, limit=_PLACES, offset=0, most_members=SOME_MEMBERS)
    inside, _ = await workspaces.list(visit.who, None, limit=_PLACES, offset=0, most_members=SOME_MEMBERS)
    names = {each.contract.id: each.contract.name for each in around}
    of = {each.workspace.id: each.workspace.contract_id for each in inside}
    permitted: PermittedScopes = await overview.may(visit.who, "create", list(names), of)
    found = [("tenant", "The whole tenant")] if permitted.tenants else []
    found += [
        (f"contract:{each}", f"The contract {name}") for each, name in names.items() if each in permitted.contract_ids
    ]
    return found + [
        (f"workspace:{each.workspace.id}", f"The workspace {each.workspace.name}")
        for each in inside
        if each.workspace.id in permitted.workspace_ids
    ]


async def _new_page(
    visit: Visit,
    registrations: ClientRegistrations,
    profiles: ProviderProfiles,
    places: Sequence[tuple[str, str]],
    form: Mapping[str, str],
    error: KeyrackError | None,
) -> Response[str]:
    profile = None
    with suppress(NotFound):
        profile = await profiles.get(visit.who, form["provider"]) if form.get("provider") else None
    asked = [] if profile is None else [each for each in profile.inputs.items() if each[1].per_client]
    fields = {**fields_of_inputs(name for name, _ in asked), **FIELDS}
    wrong, others = problems_by_field(error, fields)
    is_other = form.get("type", "") not in OAUTH2_TYPES
    shown_elsewhere = ("provider", *(() if is_other else ("credentials",)))
    others = [*others, *(wrong[name] for name in shown_elsewhere if name in wrong)]
    known, _ = await profiles.list(visit.who, None, limit=None, offset=0)
    return visit.page(
        "clients/auth_client_new.html",
        status=200 if error is None else 400,
        places=places,
        form=form,
        is_other=is_other,
        other=OTHER,
        profile=profile,
        profiles=[("", "Another one: enter its addresses"), *((each.name, each.title or each.name) for each in known)],
        inputs=asked,
        input_prefix=INPUT,
        once=form.get(FIELD) or new_once(visit),
        wrong=wrong,
        others=others,
        choices=[_AS_DECLARED if profile is None else _AS_KNOWN, *CLIENT_AUTH],
        yes_or_no=YES_OR_NO,
        redirect_uri=await _redirect_uri(visit, registrations),
        reminder_days=REMINDER_DAYS,
    )


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
    names = await _component_names(visit, client_needs, client.component_ids)
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
        choices=[_AS_DECLARED, *CLIENT_AUTH],
        yes_or_no=YES_OR_NO,
        reminder_days=REMINDER_DAYS,
    )
