"""`/console/workspaces/{W}/connect`: choosing what to connect, filling in what it needs, and beginning a consent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.core.pages import cookie_header
from keyrack.console.consents.field_values import OAUTH2, asked_fields, field_id, values_of
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.requests import FormNotOurs
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.workspace_place import CREDENTIAL_EDIT, SECRET_EDIT, WorkspacePlace
from keyrack.errors import (
    ContractSuspended,
    Forbidden,
    KeyrackError,
    NotFound,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ValidationFailed,
)
from keyrack.ids import is_id
from keyrack.model.consents import Consent
from keyrack.service.consents.browser import BrowserCookie
from keyrack.service.consents.connect_form import CONNECT, ConnectForm, ConnectForms, FieldKind, Way
from keyrack.service.consents.own_browser import OwnBrowserConsents
from keyrack.service.consents.values import NewConsent
from keyrack.service.credentials.credentials import Credentials, NewCredential
from keyrack.service.discovery.mcp_servers import CREATE
from keyrack.service.secrets.changes import ChangedSecret, NewSecret
from keyrack.service.secrets.connections import Connections
from keyrack.service.secrets.secrets import Secrets
from keyrack.validation.pointer import join
from keyrack.validation.unvalidated import Unvalidated

_FIELDS, _KEYS, _CREDENTIALS = "/data/attributes/fields", "/data/attributes/keys", "/data/attributes/credentials"
_POINTERS = {
    Way.consent: _FIELDS,
    Way.credential: _KEYS,
    Way.secret: _CREDENTIALS,
    Way.direct: join(_CREDENTIALS, "fields"),
}
_SECRET_KINDS = frozenset({FieldKind.password, FieldKind.secret_text})
_LONGEST_NAME = 255
NOT_OF_THE_FORM = (NotFound, Forbidden, ContractSuspended, RateLimited, FormNotOurs)
"""Refusals that are pages of their own: the form would not help."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address says is to be connected.

    Attributes:
        component_id: for a component, if given.
        auth_client_id: with an auth client, if given.
        secret_id: the connection to connect again, if given.
        credential_id: the credential to connect again, if given.
    """

    component_id: str | None
    auth_client_id: str | None
    secret_id: str | None
    credential_id: str | None

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters that say so."""
        named = {
            "component": self.component_id,
            "auth_client": self.auth_client_id,
            "secret": self.secret_id,
            "credential": self.credential_id,
        }
        return {name: value for name, value in named.items() if value is not None}


def wanted_of(given: Mapping[str, str]) -> Wanted:
    """Return what is to be connected; what is no id is as if it was not given."""
    ids = [given.get(name, "") for name in ("component", "auth_client", "secret", "credential")]
    return Wanted(*(each if is_id(each) else None for each in ids))


async def form_of(visit: Visit, place: WorkspacePlace, wanted: Wanted, connect_forms: ConnectForms) -> ConnectForm:
    """Return what has to be filled in.

    Raises:
        NotFound: the workspace has nothing like it.
    """
    if wanted.auth_client_id is not None:
        form = await connect_forms.of_client(visit.who, place.id, wanted.auth_client_id, wanted.component_id)
        return form if wanted.secret_id is None or form.way is not Way.direct else _without_known(form)
    if wanted.component_id is None:
        raise NotFound
    return await connect_forms.of_component(visit.who, place.id, wanted.component_id)


def _without_known(form: ConnectForm) -> ConnectForm:
    """Return the form for other values of a connection: those that are secret are known, unless they are given."""
    asked = [replace(each, required=each.required and each.kind not in _SECRET_KINDS) for each in form.fields]
    return replace(form, fields=asked)


@get("/workspaces/{workspace_id:str}/connect", media_type=MediaType.HTML)
async def connect(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connect_forms: NamedDependency[ConnectForms],
    connections: NamedDependency[Connections],
) -> Response[str]:
    """Let somebody choose what to connect; once that is chosen, show its form."""
    wanted = wanted_of({name: visit.asked(name) for name in ("component", "auth_client", "secret", "credential")})
    if wanted.component_id is None and wanted.auth_client_id is None:
        return await choices(visit, place, connect_forms, "connect", "consents/choose.html")
    form = await form_of(visit, place, wanted, connect_forms)
    name = scopes = ""
    if wanted.secret_id is not None:
        secret = (await connections.get(visit.who, place.id, wanted.secret_id)).secret
        name, scopes = secret.name, " ".join(secret.requested_scopes)
    return _form_page(visit, place, wanted, form, name=name, scopes=scopes or form.scopes or "")


async def choices(
    visit: Visit, place: WorkspacePlace, connect_forms: ConnectForms, page: str, template: str
) -> Response[str]:
    """Return the page on which one chooses a component or an auth client.

    Args:
        visit: who asks.
        place: the workspace.
        connect_forms: knows them.
        page: the page that goes on from the choice, below the workspace's.
        template: of the page.
    """
    q, who = visit.asked("q"), visit.who
    start = offset_of(visit.page_number("components"))
    components, total = await connect_forms.components(who, place.id, q, limit=ROWS, offset=start)
    clients, client_total = [], 0
    if place.own.allows(CONNECT[0]):
        start = offset_of(visit.page_number("clients"))
        found, client_total = await connect_forms.clients(who, place.id, q, limit=ROWS, offset=start)
        clients = list(found)
    return visit.page(
        template,
        place=place,
        q=q,
        going_on=f"{place.path}/{page}",
        adds_mcp_servers=place.own.allows(*CREATE),
        components=components,
        component_pager=visit.pager(total, "components"),
        clients=clients,
        client_pager=visit.pager(client_total, "clients"),
    )


@post("/workspaces/{workspace_id:str}/connect", media_type=MediaType.HTML, status_code=200)
async def connect_sent(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connect_forms: NamedDependency[ConnectForms],
    own_browser_consents: NamedDependency[OwnBrowserConsents],
    secrets: NamedDependency[Secrets],
    credentials: NamedDependency[Credentials],
) -> Response[str]:
    """Begin a consent, or keep the values themselves where nobody has to agree anywhere."""
    sent = await visit.form()
    wanted = wanted_of(sent)
    form = await form_of(visit, place, wanted, connect_forms)
    try:
        values = values_of(form.fields, sent, _POINTERS.get(form.way, _FIELDS))
        if form.way is Way.direct:
            return await _get_token(visit, place, wanted, form, sent, values, secrets)
        if form.way is Way.secret:
            return await _keep_secret(visit, place, form, sent, values, secrets)
        if form.way is Way.credential and not _asks_for_consent(values):
            return await _keep_credential(visit, place, form, sent, values, credentials)
        begun = await own_browser_consents.begin(
            visit.who,
            place.id,
            Unvalidated(lambda: _consent(wanted, form, sent, values)),
            visit.request.cookies,
            place.consent_path,
        )
    except NOT_OF_THE_FORM:
        raise
    except (ValidationFailed, ProviderError, ProviderUnavailable, KeyrackError) as error:
        return _refused(visit, place, wanted, form, sent, error)
    return go_to_consent(visit, place, *begun)


def go_to_consent(visit: Visit, place: WorkspacePlace, consent: Consent, cookie: BrowserCookie) -> Response[str]:
    """Send the browser to the page of a consent that was begun, which it is bound to from now on."""
    return visit.console.go(place.consent_path(consent.id), cookie_header(cookie))


@post("/workspaces/{workspace_id:str}/connections/{secret_id:str}/reconnect", media_type=MediaType.HTML)
async def connection_reconnected(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    own_browser_consents: NamedDependency[OwnBrowserConsents],
) -> Response[str]:
    """Begin a consent that keeps the connection's id, asking for what was asked for before."""
    await visit.form()
    cookies = visit.request.cookies
    begun = await own_browser_consents.again(visit.who, place.id, secret_id, cookies, place.consent_path)
    return go_to_consent(visit, place, *begun)


@post("/workspaces/{workspace_id:str}/credentials/{credential_id:str}/reconnect", media_type=MediaType.HTML)
async def credential_reconnected(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    own_browser_consents: NamedDependency[OwnBrowserConsents],
) -> Response[str]:
    """Begin a consent that keeps the credential's id."""
    await visit.form()
    component_id = (await credentials.get(visit.who, credential_id)).credential.component_id
    wanted = NewConsent(component_id=component_id, credential_id=credential_id)
    begun = await own_browser_consents.begin(
        visit.who, place.id, Unvalidated(lambda: wanted), visit.request.cookies, place.consent_path
    )
    return go_to_consent(visit, place, *begun)


def _consent(wanted: Wanted, form: ConnectForm, sent: Form, values: Mapping[str, Any]) -> NewConsent:
    scopes = None if form.scopes is None else sent.text("scopes")
    return NewConsent(
        component_id=form.component_id,
        credential_id=wanted.credential_id,
        auth_client_id=form.auth_client_id,
        auth_secret_id=wanted.secret_id,
        name=_name(sent) or None,
        fields=values,
        scopes=None if scopes == form.scopes else scopes,
    )


def _name(sent: Form) -> str:
    name = sent.text("name")
    if len(name) > _LONGEST_NAME:
        raise ValidationFailed(Problem(f"must have at most {_LONGEST_NAME} characters", "/data/attributes/name"))
    return name


def _asks_for_consent(values: Mapping[str, Any]) -> bool:
    """Tell whether values name an OAuth client of their own, which a first-generation `HTTPAuthView` takes."""
    return any(isinstance(each, Mapping) and each.get("type") == OAUTH2 for each in values.values())


async def _get_token(
    visit: Visit,
    place: WorkspacePlace,
    wanted: Wanted,
    form: ConnectForm,
    sent: Form,
    values: Mapping[str, Any],
    secrets: Secrets,
) -> Response[str]:
    """Make a connection whose provider gives a token at once, or give one that there is other values."""
    scopes, known = sent.text("scopes"), wanted.secret_id
    credentials = {"fields": values, **({"scope": scopes} if scopes or known else {})}
    if known is not None:
        await secrets.change(visit.who, place.id, known, lambda _: ChangedSecret(credentials=credentials))
        return visit.go(f"{place.path}/connections/{known}", done="refreshed")
    once = once_of(visit, sent)

    def new() -> NewSecret:
        return NewSecret(form.auth_client_id or "", _CREDENTIALS, _name(sent) or form.title, credentials)

    made, _ = await made_once(
        lambda: secrets.get(visit.who, place.id, once.id),
        lambda: secrets.create(visit.who, place.id, Unvalidated(new), once),
    )
    return visit.go(f"{place.path}/connections/{made.secret.id}", done="made")


async def _keep_secret(
    visit: Visit, place: WorkspacePlace, form: ConnectForm, sent: Form, values: Mapping[str, Any], secrets: Secrets
) -> Response[str]:
    once = once_of(visit, sent)

    def new() -> NewSecret:
        name = _name(sent) or form.title
        free = values.get("") if set(values) == {""} else values
        return NewSecret(form.auth_client_id or "", _CREDENTIALS, name, free or {})

    made, _ = await made_once(
        lambda: secrets.get(visit.who, place.id, once.id),
        lambda: secrets.create(visit.who, place.id, Unvalidated(new), once),
    )
    return visit.go(f"{place.path}/connections/{made.secret.id}", done="made")


async def _keep_credential(
    visit: Visit,
    place: WorkspacePlace,
    form: ConnectForm,
    sent: Form,
    values: Mapping[str, Any],
    credentials: Credentials,
) -> Response[str]:
    once = once_of(visit, sent)

    def new() -> NewCredential:
        return NewCredential(place.id, form.component_id or "", _name(sent) or None, values)

    made, _ = await made_once(
        lambda: credentials.get(visit.who, once.id),
        lambda: credentials.create(visit.who, Unvalidated(lambda: place.id), Unvalidated(new), once),
    )
    return visit.go(f"{place.path}/credentials/{made.credential.id}", done="made")


def _refused(
    visit: Visit, place: WorkspacePlace, wanted: Wanted, form: ConnectForm, sent: Form, error: KeyrackError
) -> Response[str]:
    """Show the form again with what was typed, but for secrets, and what was wrong."""
    pointer = _POINTERS.get(form.way, _FIELDS)
    fields = {
        join(start, each.name): field_id(each.name) for each in form.fields for start in (pointer, _FIELDS, _KEYS)
    }
    by_field, others = problems_by_field(error, {"/data/attributes/name": "name", **fields})
    said = dict(error.failure.said) if isinstance(error, ProviderError) else {}
    return _form_page(
        visit,
        place,
        wanted,
        form,
        status=400,
        name=sent.text("name"),
        scopes=sent.text("scopes"),
        sent=sent,
        wrong=by_field,
        others=others + [f"The provider says: {': '.join(said.values())}" for _ in [0] if said],
    )


def _form_page(  # noqa: PLR0913 - what the page shows
    visit: Visit,
    place: WorkspacePlace,
    wanted: Wanted,
    form: ConnectForm,
    *,
    status: int = 200,
    name: str = "",
    scopes: str = "",
    sent: Form | None = None,
    wrong: Mapping[str, str] | None = None,
    others: Sequence[str] = (),
) -> Response[str]:
    return visit.page(
        "consents/connect.html",
        status=status,
        place=place,
        form=form,
        way=form.way.value,
        again=wanted.secret_id is not None or wanted.credential_id is not None,
        query=wanted.query,
        fields=asked_fields(form.fields, sent, wrong),
        name=name,
        scopes=scopes,
        wrong=(wrong or {}).get("name", ""),
        others=others,
        once=(sent.get(FIELD) if sent is not None else None) or new_once(visit),
        once_field=FIELD,
        may_connect=place.own.allows(CREDENTIAL_EDIT if form.auth_client_id is None else SECRET_EDIT, *CONNECT),
    )
