"""Webhooks, deliveries and events as documents (extension, contract 0.6)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import or_none
from keyrack.api.core.jsonapi import NotBlank, SelfLink, Single, link_self
from keyrack.clock import iso
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.events import TELLABLE, Delivery, Event, EventType, Webhook
from keyrack.service.webhooks.event_history import Period
from keyrack.service.webhooks.registry import NewWebhook, WebhookChange
from keyrack.validation.times import NOT_A_TIME, parse_time

TypeName = Literal[
    "secret.created",
    "secret.refreshed",
    "secret.failed",
    "secret.reauthorization_required",
    "secret.scopes_missing",
    "secret.revoked",
    "client.failing",
    "client.recovered",
    "client.secret_expiring",
    "client.secret_expired",
    "connect_link.connected",
    "connect_link.failed",
    "user.invited",
]
"""What a webhook can be told of: `keyrack.model.events.TELLABLE`, spelled out for the type checker."""

TypeNames = Annotated[list[TypeName], Meta(min_length=1, max_length=len(TELLABLE))]
Description = Annotated[str, Meta(max_length=1000)]


class NewWebhookAttributes(msgspec.Struct):
    """A webhook to be; without `event_types` it is told of all types but `secret.refreshed` and `user.invited`."""

    url: NotBlank
    description: Description = ""
    event_types: TypeNames | None = None
    enabled: bool = True


class CreateWebhook(msgspec.Struct):
    """Data of a create request."""

    type: Literal["webhook"]
    attributes: NewWebhookAttributes


class CreateWebhookBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateWebhook


class ChangedWebhookAttributes(msgspec.Struct):
    """What is to change; `event_types: null` asks again for all types but `secret.refreshed` and `user.invited`."""

    url: NotBlank | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    event_types: TypeNames | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class ChangeWebhook(msgspec.Struct):
    """Data of an update request."""

    type: Literal["webhook"]
    attributes: ChangedWebhookAttributes
    id: str | UnsetType = UNSET


class ChangeWebhookBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeWebhook


class ReplayBody(msgspec.Struct):
    """A period, from `since` on and before `until`; times such as 2026-01-31T12:00:00Z."""

    since: str
    until: str | None = None


class WebhookAttributes(msgspec.Struct):
    """A webhook; `secret` is there only when it has just been made."""

    url: str
    description: str
    event_types: list[str] | None
    enabled: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str
    secret: str | UnsetType = UNSET


class WebhookResource(msgspec.Struct):
    """An address that is told of a tenant's events."""

    id: str
    links: SelfLink
    attributes: WebhookAttributes
    type: Literal["webhook"] = "webhook"


class DeliveryAttributes(msgspec.Struct):
    """How far a delivery has come; `due_at` is the next attempt."""

    event_id: str
    event_type: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    due_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    finished_at: str | None


class DeliveryResource(msgspec.Struct):
    """One event on its way to one webhook."""

    id: str
    attributes: DeliveryAttributes
    type: Literal["webhook-delivery"] = "webhook-delivery"


class EventAttributes(msgspec.Struct):
    """What happened; `data` is what webhooks are sent."""

    type: str
    data: dict[str, object]
    created_at: str


class EventResource(msgspec.Struct):
    """Something that happened in a tenant."""

    id: str
    attributes: EventAttributes
    type: Literal["event"] = "event"


class AcceptedAttributes(msgspec.Struct):
    """How many deliveries were started."""

    deliveries: int


class AcceptedResource(msgspec.Struct):
    """Deliveries that were started; `id` is that of the webhook or event they are of."""

    id: str
    attributes: AcceptedAttributes
    type: Literal["replay"] = "replay"


def new_webhook(body: CreateWebhookBody) -> NewWebhook:
    """Return what a create request asks for."""
    given = body.data.attributes
    return NewWebhook(given.url, given.description, _kinds(given.event_types), given.enabled)


def webhook_change(given: ChangedWebhookAttributes) -> WebhookChange:
    """Return what an update request asks for."""
    return WebhookChange(
        url=given.url or None,
        description=or_none(given.description),
        event_types=_kinds(given.event_types or None),
        all_types=given.event_types is None,
        enabled=or_none(given.enabled),
    )


def _kinds(names: Sequence[str] | None) -> tuple[EventType, ...] | None:
    return None if names is None else tuple(dict.fromkeys(EventType(name) for name in names))


def period(body: ReplayBody) -> Period:
    """Return the period a replay request names.

    Raises:
        ValidationFailed: a time cannot be read.
    """
    since, until = parse_time(body.since), parse_time(body.until or "")
    problems = []
    if since is None:
        problems.append(Problem(NOT_A_TIME, "/since"))
    if body.until is not None and until is None:
        problems.append(Problem(NOT_A_TIME, "/until"))
    if since is None or problems:
        raise ValidationFailed(*problems)
    return Period(since, until)


def webhook_document(webhook: Webhook, *, with_secret: bool = False) -> Single[WebhookResource]:
    """Build the document of a webhook, with its newest secret or without."""
    document = Single(webhook_resource(webhook))
    if with_secret:
        document.data.attributes.secret = webhook.keys[0].secret.reveal()
    return document


def webhook_resource(webhook: Webhook) -> WebhookResource:
    """Build the resource of a webhook."""
    kinds = webhook.event_types
    attributes = WebhookAttributes(
        webhook.url,
        webhook.description,
        None if kinds is None else [kind.value for kind in kinds],
        webhook.enabled,
        webhook.disabled_reason,
        iso(webhook.created_at),
        iso(webhook.updated_at),
    )
    return WebhookResource(webhook.id, link_self(f"/v2/tenants/{webhook.tenant_id}/webhooks/{webhook.id}"), attributes)


def delivery_resource(delivery: Delivery) -> DeliveryResource:
    """Build the resource of a delivery."""
    attributes = DeliveryAttributes(
        delivery.event_id,
        delivery.event_type.value,
        delivery.state.value,
        delivery.attempts,
        None if delivery.due_at is None else iso(delivery.due_at),
        delivery.last_status,
        delivery.last_error,
        iso(delivery.created_at),
        None if delivery.finished_at is None else iso(delivery.finished_at),
    )
    return DeliveryResource(f"{delivery.webhook_id}{delivery.event_id}", attributes)


def accepted(resource_id: str, deliveries: int) -> Single[AcceptedResource]:
    """Build the answer to a request that starts deliveries."""
    return Single(AcceptedResource(resource_id, AcceptedAttributes(deliveries)))


def event_resource(event: Event) -> EventResource:
    """Build the resource of an event."""
    return EventResource(event.id, EventAttributes(event.type.value, event.data, iso(event.created_at)))
