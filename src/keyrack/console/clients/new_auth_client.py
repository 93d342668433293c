"""`/console/auth-clients/new`: creates auth clients, by a provider's profile or with addresses that are entered."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.auth_client_documents import CreateAuthClientBody, ScopeOnlyBody
from keyrack.api.core.body import UnvalidatedBody
from keyrack.console.clients.auth_client_form import (
    FIELDS,
    INPUT,
    OTHER,
    YES_OR_NO,
    fields_of_inputs,
    new_data,
)
from keyrack.console.clients.auth_client_pages import (
    AS_DECLARED,
    PATH,
    REFUSALS,
    component_names,
    components_of,
    redirect_uri_for,
)
from keyrack.console.clients.secret_fields import CLIENT_AUTH
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, KeyrackError, NotFound
from keyrack.ids import is_id
from keyrack.model.clients import OAUTH2_TYPES
from keyrack.service.clients.auth_client_overview import AuthClientOverview, PermittedScopes
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.provider_profiles import ProviderProfiles
from keyrack.service.clients.secret_expiry import REMINDER_DAYS
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.consents.registration_by_hand import RegistrationsByHand
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.validation.unvalidated import Unvalidated

_PLACES = 100
"""How many contracts and workspaces a form offers; others are looked for."""
_AS_KNOWN = ("", "As the provider wants it")


@get("/auth-clients/new", media_type=MediaType.HTML)
async def auth_client_form(
    visit: NamedDependency[Visit],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    provider_profiles: NamedDependency[ProviderProfiles],
) -> Response[str]:
    """Show the form for a new client."""
    asked = visit.asked("component")
    names = await component_names(visit, client_needs, [asked] if asked else [])
    scope = f"workspace:{visit.asked('workspace')}" if visit.asked("workspace") else ""
    form = {"type": visit.asked("type") or "oauth2", "components": names.get(asked, asked), "pkce": "on"}
    form["provider"] = visit.asked("provider")
    form["scope"] = scope
    places = await _places(visit, auth_client_overview, contracts, workspaces, scope)
    return await _new_page(visit, registrations_by_hand, provider_profiles, places, form, None)


@post("/auth-clients/new", media_type=MediaType.HTML)
async def auth_client_created(
    visit: NamedDependency[Visit],
    auth_clients: NamedDependency[AuthClients],
    auth_client_overview: NamedDependency[AuthClientOverview],
    client_needs: NamedDependency[ClientNeeds],
    registrations_by_hand: NamedDependency[RegistrationsByHand],
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    provider_profiles: NamedDependency[ProviderProfiles],
) -> Response[str]:
    """Create a client; the same form sent twice creates one."""
    form = await visit.form()
    once = once_of(visit, form)
    try:
        data = new_data(form, await components_of(visit, client_needs, form), visit.who.tenant_id)
        body = UnvalidatedBody[CreateAuthClientBody]({"data": data}, CreateAuthClientBody)
        scope = Unvalidated(lambda: body.validated_as(ScopeOnlyBody).only())
        new = body.then(CreateAuthClientBody.command)
        await made_once(
            lambda: auth_clients.get(visit.who, once.id, None),
            lambda: auth_clients.create(visit.who, scope, new, made_id=once.id),
        )
    except REFUSALS as error:
        places = await _places(visit, auth_client_overview, contracts, workspaces, form.text("scope"))
        return await _new_page(visit, registrations_by_hand, provider_profiles, places, form, error)
    return visit.go(f"{PATH}/{once.id}", done="created")


async def _places(
    visit: Visit, overview: AuthClientOverview, contracts: Contracts, workspaces: Workspaces, chosen: str
) -> Sequence[tuple[str, str]]:
    """Return scopes in which the visitor may create clients, each with its text: what `place` looks for, or the first.

    Args:
        visit: the request.
        overview: says where the visitor may create clients.
        contracts: their use cases.
        workspaces: likewise.
        chosen: the value of the scope that the form has now, which is offered in any case.

    Raises:
        Forbidden: there is none, whatever is looked for.
    """
    who, asked = visit.who, visit.asked("place")
    if who.tenant_id is None:
        permitted = await overview.may(who, "create", [], {})
        found = {"global": "All tenants"} if permitted.everyones else {}
    else:
        permitted, found = await _places_of_tenant(visit, overview, contracts, workspaces, asked)
        kind, _, chosen_id = chosen.partition(":")
        if chosen not in found and kind in ("contract", "workspace") and is_id(chosen_id):
            _, named = await _places_of_tenant(visit, overview, contracts, workspaces, chosen_id)
            found |= {scope: text for scope, text in named.items() if scope == chosen}
    if not permitted.anywhere:
        raise Forbidden("this needs the permission global.auth_clients.create, held at the auth client's scope")
    return list(found.items())


async def _places_of_tenant(
    visit: Visit, overview: AuthClientOverview, contracts: Contracts, workspaces: Workspaces, beginning: str
) -> tuple[PermittedScopes, dict[str, str]]:
    """Return where in the tenant clients may be created; contracts and workspaces by the beginning of a name, or id."""
    around, _ = await contracts.list(visit.who, limit=_PLACES, offset=0, most_members=0, beginning=beginning)
    inside, _ = await workspaces.list(visit.who, None, limit=_PLACES, offset=0, most_members=0, beginning=beginning)
    names = {each.contract.id: each.contract.name for each in around}
    of = {each.workspace.id: each.workspace.contract_id for each in inside}
    permitted: PermittedScopes = await overview.may(visit.who, "create", list(names), of)
    found = {"tenant": "The whole tenant"} if permitted.tenants else {}
    found |= {
        f"contract:{each}": f"The contract {name}" for each, name in names.items() if each in permitted.contract_ids
    }
    return permitted, found | {
        f"workspace:{each.workspace.id}": f"The workspace {each.workspace.name}"
        for each in inside
        if each.workspace.id in permitted.workspace_ids
    }


async def _new_page(
    visit: Visit,
    registrations: RegistrationsByHand,
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
        place=visit.asked("place"),
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
        choices=[AS_DECLARED if profile is None else _AS_KNOWN, *CLIENT_AUTH],
        yes_or_no=YES_OR_NO,
        redirect_uri=await redirect_uri_for(visit, registrations),
        reminder_days=REMINDER_DAYS,
    )
