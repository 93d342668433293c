"""`/console/webhooks`: list, create, edit, rotate the secret, test, delete."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.webhook_documents import (
    ChangeWebhookBody,
    CreateWebhookBody,
    new_webhook,
    webhook_change,
)
from keyrack.console.core.forms import Form, body_of, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.console.webhooks.words import CHOICES, EVENTS
from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, KeyrackError, StateConflict, TypeConflict, ValidationFailed
from keyrack.model.events import NAMED_ONLY, DeliveryState, Webhook
from keyrack.service.authz.access import home
from keyrack.service.authz.permissions import CREATE_USERS, GIVE_TENANT_ROLES
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import WebhookChange, Webhooks
from keyrack.service.webhooks.signing import key_of
from keyrack.validation.unvalidated import Unvalidated

PATH = "/console/webhooks"
_MOST_COUNTED = 1000
_TYPE = "webhook"
_FIELDS = {
    "/data/attributes/url": "url",
    "/data/attributes/description": "description",
    "/data/attributes/event_types": "event_types",
}
_DONE = {
    "created": "The webhook was created already by this form.",
    "rotated": "The secret was changed already by this form, and once more since.",
    "changed": "The webhook is changed.",
    "enabled": "The webhook is enabled. What it missed meanwhile can be sent again from its deliveries.",
    "disabled": "The webhook is disabled, and what was on its way there is given up.",
    "test": "A test is on its way; it appears among the deliveries.",
    "deleted": "The webhook is deleted.",
}


@get("/webhooks", media_type=MediaType.HTML)
async def webhook_list(
    visit: NamedDependency[Visit], webhooks: NamedDependency[Webhooks], event_history: NamedDependency[EventHistory]
) -> Response[str]:
    """List the tenant's webhooks, with how many deliveries have failed or wait."""
    tenant_id = home(visit.who)
    q = visit.asked("q")
    found, total = await webhooks.list(
        visit.who, tenant_id, beginning=q, limit=ROWS, offset=offset_of(visit.page_number())
    )
    counts = await event_history.delivery_counts(visit.who, tenant_id, [each.id for each in found], most=_MOST_COUNTED)
    return visit.page(
        "webhooks/list.html",
        webhooks=found,
        q=q,
        pager=visit.pager(total),
        counts=counts,
        most=_MOST_COUNTED,
        states=DeliveryState,
        done=visit.done(_DONE),
        may_create=visit.allows("tenants.webhooks.create"),
    )


@get("/webhooks/new", media_type=MediaType.HTML)
async def webhook_form(visit: NamedDependency[Visit]) -> Response[str]:
    """Show the form for a new webhook.

    Raises:
        Forbidden: the visitor may not create any.
    """
    if not visit.allows("tenants.webhooks.create"):
        raise Forbidden("this needs the permission tenants.webhooks.create")
    return _form(visit, {"url": "", "description": "", "event_types": [], "which": "all"}, once=new_once(visit))


@post("/webhooks/new", media_type=MediaType.HTML)
async def webhook_created(visit: NamedDependency[Visit], webhooks: NamedDependency[Webhooks]) -> Response[str]:
    """Create a webhook, and show its signing secret this once."""
    form, tenant_id = await visit.form(), home(visit.who)
    once, typed = once_of(visit, form), _typed(form)
    body = body_of(CreateWebhookBody, _TYPE, _attributes(typed)).then(new_webhook)
    try:
        webhook, _ = await made_once(
            lambda: webhooks.get(visit.who, tenant_id, once.id),
            lambda: webhooks.create(visit.who, tenant_id, body, once),
        )
    except (ValidationFailed, TypeConflict, StateConflict) as error:
        return _form(visit, typed, once=form[FIELD], error=error)
    return _secret_shown(visit, webhook, key_of(once.seed), is_new=True)


@get("/webhooks/{webhook_id:str}", media_type=MediaType.HTML)
async def webhook_page(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Show one webhook."""
    tenant_id = home(visit.who)
    webhook = await webhooks.get(visit.who, tenant_id, webhook_id)
    counts = await event_history.delivery_counts(visit.who, tenant_id, [webhook_id], most=_MOST_COUNTED)
    return visit.page(
        "webhooks/webhook.html",
        webhook=webhook,
        counts=counts[webhook_id],
        most=_MOST_COUNTED,
        states=DeliveryState,
        events=EVENTS,
        named_only=NAMED_ONLY,
        done=visit.done(_DONE),
        may_edit=visit.allows("tenants.webhooks.edit"),
        may_delete=visit.allows("tenants.webhooks.delete"),
        may_audit=visit.allows("tenants.audit.get"),
    )


@get("/webhooks/{webhook_id:str}/edit", media_type=MediaType.HTML)
async def webhook_edit_form(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Show the form that changes a webhook."""
    webhook = await webhooks.get(visit.who, home(visit.who), webhook_id)
    kinds = webhook.event_types
    typed = {
        "url": webhook.url,
        "description": webhook.description,
        "event_types": [kind.value for kind in kinds or ()],
        "which": "all" if kinds is None else "some",
    }
    return _form(visit, typed, webhook=webhook)


@post("/webhooks/{webhook_id:str}/edit", media_type=MediaType.HTML)
async def webhook_changed(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Change a webhook."""
    form, tenant_id = await visit.form(), home(visit.who)
    typed = _typed(form)
    body = body_of(ChangeWebhookBody, _TYPE, _attributes(typed))
    change = body.then(lambda given: webhook_change(given.data.attributes))
    try:
        await webhooks.change(visit.who, tenant_id, webhook_id, change)
    except (ValidationFailed, TypeConflict, Forbidden) as error:
        if isinstance(error, Forbidden) and not error.problem.pointer:
            raise
        return _form(visit, typed, webhook=await webhooks.get(visit.who, tenant_id, webhook_id), error=error)
    return visit.go(f"{PATH}/{webhook_id}", done="changed")


@post("/webhooks/{webhook_id:str}/enabled", media_type=MediaType.HTML)
async def webhook_switched(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Enable or disable a webhook."""
    enabled = (await visit.form()).get("enabled") == "yes"
    change = Unvalidated(lambda: WebhookChange(enabled=enabled))
    await webhooks.change(visit.who, home(visit.who), webhook_id, change)
    return visit.go(f"{PATH}/{webhook_id}", done="enabled" if enabled else "disabled")


@get("/webhooks/{webhook_id:str}/disable", media_type=MediaType.HTML)
async def webhook_disabling(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Say what disabling a webhook gives up."""
    return await _confirmation(visit, webhook_id, webhooks, event_history, "disable")


@get("/webhooks/{webhook_id:str}/rotate", media_type=MediaType.HTML)
async def webhook_rotating(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Say what a new signing secret means for the receiver."""
    return await _confirmation(visit, webhook_id, webhooks, event_history, "rotate")


@post("/webhooks/{webhook_id:str}/rotate", media_type=MediaType.HTML)
async def webhook_rotated(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Give a webhook a new signing secret, and show it this once; the same one if the form was sent twice."""
    once, tenant_id = once_of(visit, await visit.form()), home(visit.who)
    webhook = await webhooks.rotate_secret(visit.who, tenant_id, webhook_id, once)
    return _secret_shown(visit, webhook, key_of(once.seed), is_new=False)


@post("/webhooks/{webhook_id:str}/test", media_type=MediaType.HTML)
async def webhook_tested(
    visit: NamedDependency[Visit], webhook_id: PATH_ID, webhooks: NamedDependency[Webhooks]
) -> Response[str]:
    """Send a webhook a test; its delivery is shown next."""
    await visit.form()
    event_id = await webhooks.send_test(visit.who, home(visit.who), webhook_id)
    return visit.go(f"{PATH}/{webhook_id}/deliveries/{event_id}", done="test")


@get("/webhooks/{webhook_id:str}/delete", media_type=MediaType.HTML)
async def webhook_deleting(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
    event_history: NamedDependency[EventHistory],
) -> Response[str]:
    """Say what goes with a webhook."""
    return await _confirmation(visit, webhook_id, webhooks, event_history, "delete")


@post("/webhooks/{webhook_id:str}/delete", media_type=MediaType.HTML)
async def webhook_deleted(
    visit: NamedDependency[Visit],
    webhook_id: PATH_ID,
    webhooks: NamedDependency[Webhooks],
) -> Response[str]:
    """Delete a webhook."""
    await visit.form()
    await webhooks.delete(visit.who, home(visit.who), webhook_id)
    return visit.go(PATH, done="deleted")


def _secret_shown(visit: Visit, webhook: Webhook, secret: Secret, *, is_new: bool) -> Response[str]:
    """Show a secret that the form has just made; if it was rotated since, and the form is sent again, nothing."""
    if webhook.keys[0].secret != secret:
        return visit.go(f"{PATH}/{webhook.id}", done="created" if is_new else "rotated")
    return visit.page("webhooks/secret.html", webhook=webhook, secret=secret.reveal(), is_new=is_new)


async def _confirmation(
    visit: Visit, webhook_id: str, webhooks: Webhooks, event_history: EventHistory, what: str
) -> Response[str]:
    needed = f"tenants.webhooks.{'delete' if what == 'delete' else 'edit'}"
    if not visit.allows(needed):
        raise Forbidden(f"this needs the permission {needed}")
    tenant_id = home(visit.who)
    webhook = await webhooks.get(visit.who, tenant_id, webhook_id)
    counts = await event_history.delivery_counts(visit.who, tenant_id, [webhook_id], most=_MOST_COUNTED)
    return visit.page(
        "webhooks/confirm.html",
        webhook=webhook,
        what=what,
        pending=counts[webhook_id][DeliveryState.pending],
        most=_MOST_COUNTED,
        once=new_once(visit),
    )


def _typed(form: Form) -> dict[str, Any]:
    return {
        "url": form.text("url"),
        "description": form.text("description"),
        "event_types": list(form.all("event_types")),
        "which": "some" if form.get("which") == "some" else "all",
    }


def _attributes(typed: dict[str, Any]) -> dict[str, Any]:
    kinds = typed["event_types"] if typed["which"] == "some" else None
    return {"url": typed["url"], "description": typed["description"], "event_types": kinds}


def _form(
    visit: Visit,
    typed: dict[str, Any],
    *,
    webhook: Webhook | None = None,
    once: str = "",
    error: KeyrackError | None = None,
) -> Response[str]:
    wrong, others = problems_by_field(error, _FIELDS)
    links = visit.allows(CREATE_USERS) and visit.allows(GIVE_TENANT_ROLES)
    return visit.page(
        "webhooks/form.html",
        status=200 if error is None else 400,
        webhook=webhook,
        typed=typed,
        choices=[each for each in CHOICES if links or each[0] != "user.invited" or each[0] in typed["event_types"]],
        once=once,
        wrong=wrong,
        others=others,
    )
