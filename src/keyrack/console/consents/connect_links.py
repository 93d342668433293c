"""`/console/workspaces/{W}/connect-links`: links with which people without an account connect one, once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.consents.connect import Wanted, choices, form_of, wanted_of
from keyrack.console.consents.field_values import asked_fields, field_id, values_of
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.once import FIELD, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.workspace_place import WorkspacePlace
from keyrack.errors import ContractSuspended, Forbidden, KeyrackError, NotFound, RateLimited
from keyrack.model.consents import ConnectLinkStatus
from keyrack.service.consents.connect_form import ConnectForm, ConnectForms, Way
from keyrack.service.consents.connect_links import ConnectLinks, NewConnectLink
from keyrack.service.consents.values import NewConsent
from keyrack.validation.pointer import join
from keyrack.validation.unvalidated import Unvalidated

_AT = "/workspaces/{workspace_id:str}/connect-links"
_FIELDS = "/data/attributes/fields"
_LIFETIMES = (("3600", "One hour"), ("86400", "One day"), ("259200", "Three days"), ("604800", "Seven days"))
_USUAL = "86400"
_LONGEST_NAME = 255
_WORDS = {
    "pending": ("not opened yet", "plain"),
    "opened": ("opened", "warn"),
    "connected": ("connected", "good"),
    "denied": ("declined", "bad"),
    "failed": ("failed", "bad"),
    "expired": ("expired", "plain"),
}
_NOT_CONNECTABLE = "Only accounts at which people agree on the provider's own page can be connected by a link."


@get(_AT, media_type=MediaType.HTML)
async def connect_link_list(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connect_links: NamedDependency[ConnectLinks],
) -> Response[str]:
    """List one's own links, the newest first."""
    return await _list(visit, place, connect_links)


@get(f"{_AT}/new", media_type=MediaType.HTML)
async def connect_link_form(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connect_forms: NamedDependency[ConnectForms],
) -> Response[str]:
    """Let somebody choose what the link is for, then say the rest."""
    wanted = wanted_of({name: visit.asked(name) for name in ("component", "auth_client")})
    if not wanted.query:
        return await choices(visit, place, connect_forms, "connect-links/new", "consents/choose_for_link.html")
    return _form_page(visit, place, wanted, await form_of(visit, place, wanted, connect_forms))


@post(_AT, media_type=MediaType.HTML, status_code=200)
async def connect_link_made(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connect_forms: NamedDependency[ConnectForms],
    connect_links: NamedDependency[ConnectLinks],
) -> Response[str]:
    """Make a link, and show its address this once."""
    sent = await visit.form()
    wanted = wanted_of(sent)
    form = await form_of(visit, place, wanted, connect_forms)
    once = once_of(visit, sent)

    def new() -> NewConnectLink:
        seconds = sent.text("lifetime")
        lifetime = seconds if seconds in dict(_LIFETIMES) else _USUAL
        consent = NewConsent(
            component_id=form.component_id,
            auth_client_id=form.auth_client_id,
            name=sent.text("name") or form.title[:_LONGEST_NAME],
            fields=values_of(form.fields, sent, _FIELDS),
        )
        return NewConnectLink(consent, None, timedelta(seconds=int(lifetime)))

    try:
        made = await connect_links.create(visit.who, place.id, Unvalidated(new), once)
    except (NotFound, Forbidden, ContractSuspended, RateLimited):
        raise
    except KeyrackError as error:
        return _form_page(visit, place, wanted, form, status=400, sent=sent, error=error)
    return await _list(visit, place, connect_links, url=made.url.reveal(), until=made.link.expires_at)


async def _list(visit: Visit, place: WorkspacePlace, connect_links: ConnectLinks, **made: Any) -> Response[str]:
    asked, start = visit.asked("status"), offset_of(visit.page_number())
    status = ConnectLinkStatus(asked) if asked in set(ConnectLinkStatus) else None
    found, total = await connect_links.list(visit.who, place.id, status, limit=ROWS, offset=start)
    return visit.page(
        "consents/connect_links.html",
        place=place,
        tabs=place.tabs("/connect-links"),
        made_links=[(each, *_WORDS[each.status.value], _result(place, each.wanted, each.result_id)) for each in found],
        pager=visit.pager(total),
        status_asked=status.value if status else "",
        statuses=[("", "Any"), *((each, words) for each, (words, _) in _WORDS.items())],
        url=made.get("url"),
        until=made.get("until"),
    )


def _result(place: WorkspacePlace, wanted: Mapping[str, Any], result_id: str | None) -> str | None:
    if result_id is None:
        return None
    kind = "credentials" if wanted.get("auth_client_id") is None else "connections"
    return f"{place.path}/{kind}/{result_id}"


def _form_page(
    visit: Visit,
    place: WorkspacePlace,
    wanted: Wanted,
    form: ConnectForm,
    *,
    status: int = 200,
    sent: Form | None = None,
    error: KeyrackError | None = None,
) -> Response[str]:
    fields = {join(_FIELDS, each.name): field_id(each.name) for each in form.fields}
    by_field, others = problems_by_field(error, {"/data/attributes/name": "name", **fields})
    problem = form.problem or ("" if form.way in (Way.consent, Way.choice) else _NOT_CONNECTABLE)
    return visit.page(
        "consents/connect_link_form.html",
        status=status,
        place=place,
        form=form,
        problem=problem,
        way=form.way.value,
        query=wanted.query,
        fields=asked_fields(form.fields, sent, by_field),
        name="" if sent is None else sent.text("name"),
        lifetime=_USUAL if sent is None else sent.text("lifetime"),
        lifetimes=_LIFETIMES,
        wrong=by_field.get("name", ""),
        others=others,
        once=(sent.get(FIELD) if sent is not None else None) or new_once(visit),
        once_field=FIELD,
    )
