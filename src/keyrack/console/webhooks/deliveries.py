"""`/console/webhooks/{id}/deliveries` and `/console/events`: what was sent, why it failed, and sending it again."""

import json
from datetime import timedelta

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.api.webhook_documents import ReplayBody, period
from keyrack.clock import iso
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.lists import ROWS
from keyrack.console.core.visit import Visit
from keyrack.console.webhooks.webhooks import PATH
from keyrack.console.webhooks.words import EVENTS, STATES, failure_of
from keyrack.errors import Forbidden, KeyrackError, ValidationFailed
from keyrack.model.events import Delivery, DeliveryState, Event, EventType
from keyrack.service.authz.access import home
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import Webhooks

_EDIT = "tenants.webhooks.edit"
_DONE = {
    "again": "It is on its way again.",
    "already": "It is on its way already.",
    "nobody": "No enabled webhook wants events of this type, so it was sent to none.",
    "test": "A test is on its way. This page shows what becomes of it.",
}


@get("/webhooks/{webhook_id:str}/deliveries", media_type=MediaType.HTML)
async def delivery_list(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """List what was sent to a webhook, the newest events first."""
    tenant_id, asked = home(visit.who), visit.asked("state")
    state = DeliveryState(asked) if asked in tuple(DeliveryState) else None
    webhook = await webhooks.get(visit.who, tenant_id, webhook_id)
    found = await event_history.recent_deliveries(visit.who, tenant_id, webhook_id, state, visit.beside(), limit=ROWS)
    count = visit.asked("replayed")
    return visit.page(
        "webhooks/deliveries.html",
        webhook=webhook,
        deliveries=found.rows,
        turner=visit.turner(found, _event_id),
        state=state,
        states=STATES,
        events=EVENTS,
        failure_of=failure_of,
        may_edit=visit.allows(_EDIT),
        replayed=count if count.isascii() and count.isdigit() else "",
    )


@get("/webhooks/{webhook_id:str}/deliveries/{event_id:str}", media_type=MediaType.HTML)
async def delivery_page(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    event_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Show one delivery: how often it was tried, why it failed, and what is sent."""
    tenant_id = home(visit.who)
    webhook = await webhooks.get(visit.who, tenant_id, webhook_id)
    delivery, event = await event_history.delivery(visit.who, tenant_id, webhook_id, event_id)
    return visit.page(
        "webhooks/delivery.html",
        webhook=webhook,
        delivery=delivery,
        event=event,
        body=_body(event),
        states=STATES,
        events=EVENTS,
        failure=failure_of(delivery),
        may_edit=visit.allows(_EDIT),
        done=visit.done(_DONE),
    )


@post("/webhooks/{webhook_id:str}/deliveries/{event_id:str}/replay", media_type=MediaType.HTML)
async def delivery_replayed(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, event_id: PATH_ID, event_history: NamedDependency[EventHistory]
) -> Response[str]:
    """Send an event to a webhook again."""
    await visit.form()
    started = await event_history.replay_delivery(visit.who, home(visit.who), webhook_id, event_id)
    return visit.go(f"{PATH}/{webhook_id}/deliveries/{event_id}", done="again" if started else "already")


@get("/webhooks/{webhook_id:str}/replay", media_type=MediaType.HTML)
async def replay_form(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Ask for the period of which everything is to be sent again; the last day is suggested."""
    since = visit.console.sign_in.now() - timedelta(days=1)
    return await _replay_form(visit, webhook_id, webhooks, {"since": iso(since.replace(microsecond=0)), "until": ""})


@post("/webhooks/{webhook_id:str}/replay", media_type=MediaType.HTML)
async def period_replayed(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Send everything of a period again that a webhook wants."""
    form = await visit.form()
    typed = {"since": form.text("since"), "until": form.text("until")}
    body = UnvalidatedBody[ReplayBody]({"since": typed["since"], "until": typed["until"] or None}, ReplayBody)
    try:
        started = await event_history.replay(visit.who, home(visit.who), webhook_id, body.then(period))
    except ValidationFailed as error:
        return await _replay_form(visit, webhook_id, webhooks, typed, error)
    return visit.go(f"{PATH}/{webhook_id}/deliveries", replayed=str(started))


@get("/events", media_type=MediaType.HTML)
async def event_list(visit: NamedDependency[Visit], event_history: NamedDependency[EventHistory]) -> Response[str]:
    """List what happened in the tenant, newest first."""
    asked = visit.asked("type")
    kind = EventType(asked) if asked in tuple(EventType) else None
    found = await event_history.recent_events(visit.who, home(visit.who), kind, visit.beside(), limit=ROWS)
    return visit.page(
        "webhooks/events.html",
        found=found.rows,
        turner=visit.turner(found, lambda event: event.id),
        kind=kind,
        events=EVENTS,
    )


@get("/events/{event_id:str}", media_type=MediaType.HTML)
async def event_page(
    visit: NamedDependency[Visit], event_id: PATH_ID, event_history: NamedDependency[EventHistory]
) -> Response[str]:
    """Show what happened once, as webhooks are told of it."""
    event = await event_history.event(visit.who, home(visit.who), event_id)
    return visit.page(
        "webhooks/event.html",
        event=event,
        body=_body(event),
        events=EVENTS,
        may_edit=visit.allows(_EDIT),
        done=visit.done(_DONE),
    )


@post("/events/{event_id:str}/replay", media_type=MediaType.HTML)
async def event_replayed(
    visit: NamedDependency[Visit],
    event_id: PATH_ID,
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Send an event again to every enabled webhook that wants its type."""
    await visit.form()
    started = await event_history.replay_event(visit.who, home(visit.who), event_id)
    return visit.go(f"/console/events/{event_id}", done="again" if started else "nobody")


async def _replay_form(
    visit: Visit, webhook_id: str, webhooks: Webhooks, typed: dict[str, str], error: KeyrackError | None = None
) -> Response[str]:
    if not visit.allows(_EDIT):
        raise Forbidden(f"this needs the permission {_EDIT}")
    webhook = await webhooks.get(visit.who, home(visit.who), webhook_id)
    wrong, others = problems_by_field(error, {"/since": "since", "/until": "until"})
    status = 200 if error is None else 400
    return visit.page("webhooks/replay.html", status=status, webhook=webhook, typed=typed, wrong=wrong, others=others)


def _event_id(delivery: Delivery) -> str:
    return delivery.event_id


def _body(event: Event) -> str:
    told = {"type": event.type.value, "timestamp": iso(event.created_at), "data": event.data}
    return json.dumps(told, indent=2, ensure_ascii=True)
