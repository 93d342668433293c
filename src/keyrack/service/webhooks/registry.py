"""Manages webhooks (extension, contract 0.6): create, change, rotate, test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from keyrack.errors import Forbidden, NotFound, StateConflict
from keyrack.ids import new_id
from keyrack.model.events import EventType, SigningKey, Webhook
from keyrack.model.identity import Principal
from keyrack.model.once import Once
from keyrack.provider.uri_guard import check_uri
from keyrack.service.audit.log import was_made
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import CREATE_USERS, GIVE_TENANT_ROLES
from keyrack.service.webhooks.signing import key_of, new_key
from keyrack.store.core.paging import After
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.webhooks import WebhookRows
from keyrack.validation.unvalidated import Unvalidated

MOST_WEBHOOKS = 50
"""A tenant's; every event costs one delivery for each."""

OVERLAP = timedelta(hours=24)
"""How long a rotated secret goes on signing beside the new one."""

_MOST_KEYS = 4
GET_WEBHOOKS, EDIT_WEBHOOKS = "tenants.webhooks.get", "tenants.webhooks.edit"
_CREATE, _DELETE = "tenants.webhooks.create", "tenants.webhooks.delete"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What a caller sends to create a webhook."""

    url: str
    description: str
    event_types: tuple[EventType, ...] | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What a caller sends to change a webhook; None keeps what is there."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[EventType, ...] | None = None
    all_types: bool = False
    """Set `event_types` to "all that need not be named"."""
    enabled: bool | None = None


class Webhooks:
    """Use cases of webhooks. Each checks exactly one permission."""

    def __init__(self, access: Access, *, allow_insecure: bool) -> None:
        self._access = access
        self._allow_insecure = allow_insecure

    async def create(
        self, who: Principal, tenant_id: str, new: Unvalidated[NewWebhook], once: Once | None = None
    ) -> Webhook:
        """Create a webhook with a secret of its own.

        Args:
            who: the caller.
            tenant_id: whose webhook it is to be.
            new: what it is to be.
            once: of a form that may be sent twice: one that was made of it already is returned again.

        Raises:
            ValidationFailed, TypeConflict: the body is wrong, or nothing may be sent to the URL.
            Forbidden: it names `user.invited`, and the caller could not have what the links in those events give.
            StateConflict: the tenant has the most webhooks it can have.
        """
        async with self._access.tenant(who, tenant_id, "webhook.create") as scope:
            scope.require(_CREATE)
            wanted = new.validated()
            if EventType.user_invited in (wanted.event_types or ()):
                _require_may_receive_links(scope)
            self._check_url(wanted.url)
            rows = WebhookRows(scope.unit)
            if once is not None and (made := await rows.find(once.id)) is not None:
                scope.audit_target("webhook", made.id)
                return made
            if once is not None and await was_made(scope.unit, "webhook.create", once.id):
                raise StateConflict("this form has made a webhook already, which is deleted")
            if await rows.count() >= MOST_WEBHOOKS:
                raise StateConflict(f"a tenant can have {MOST_WEBHOOKS} webhooks")
            now = scope.unit.clock()
            webhook = Webhook(
                id=new_id() if once is None else once.id,
                tenant_id=tenant_id,
                url=wanted.url,
                description=wanted.description,
                event_types=wanted.event_types,
                enabled=wanted.enabled,
                disabled_reason=None,
                keys=(SigningKey(new_key() if once is None else key_of(once.seed)),),
                created_at=now,
                updated_at=now,
            )
            await rows.add(webhook)
            scope.audit_target("webhook", webhook.id)
            return webhook

    async def list(
        self, who: Principal, tenant_id: str, *, beginning: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[Webhook], int]:
        """List the tenant's webhooks; return a page and the number of all.

        Args:
            who: is asking.
            tenant_id: the tenant.
            beginning: only those in whose description a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            return await WebhookRows(scope.unit).page(beginning=beginning, limit=limit, offset=offset)

    async def get(self, who: Principal, tenant_id: str, webhook_id: str) -> Webhook:
        """Return one webhook.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            return await found_webhook(scope, webhook_id)

    async def change(
        self, who: Principal, tenant_id: str, webhook_id: str, change: Unvalidated[WebhookChange]
    ) -> Webhook:
        """Change a webhook; disabling it gives up what is on its way there.

        Raises:
            NotFound: the tenant has no such webhook.
            ValidationFailed, TypeConflict: the body is wrong, or nothing may be sent to the URL.
            Forbidden: as in `create`, where links would go to another place than before.
        """
        async with self._access.tenant(who, tenant_id, "webhook.edit") as scope:
            scope.require(EDIT_WEBHOOKS)
            webhook = await found_webhook(scope, webhook_id, locked=True)
            wanted = change.validated()
            if wanted.url is not None:
                self._check_url(wanted.url)
            enabled = webhook.enabled if wanted.enabled is None else wanted.enabled
            kinds = wanted.event_types or webhook.event_types
            changed = replace(
                webhook,
                url=wanted.url or webhook.url,
                description=webhook.description if wanted.description is None else wanted.description,
                event_types=None if wanted.all_types else kinds,
                enabled=enabled,
                disabled_reason=None if enabled else webhook.disabled_reason,
                updated_at=scope.unit.clock(),
            )
            if _receives_more_links(webhook, changed):
                _require_may_receive_links(scope)
            await WebhookRows(scope.unit).replace(changed)
            if webhook.enabled and not enabled:
                await Deliveries(scope.unit).end_pending(webhook.id)
            scope.audit_target("webhook", webhook.id)
            return changed

    async def delete(self, who: Principal, tenant_id: str, webhook_id: str) -> None:
        """Delete a webhook with its deliveries.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        async with self._access.tenant(who, tenant_id, "webhook.delete") as scope:
            scope.require(_DELETE)
            if not await WebhookRows(scope.unit).remove(webhook_id):
                raise _no_webhook()
            scope.audit_target("webhook", webhook_id)

    async def rotate_secret(self, who: Principal, tenant_id: str, webhook_id: str, once: Once | None = None) -> Webhook:
        """Give a webhook a new secret; the one before signs beside it for 24 hours.

        Args:
            who: the caller.
            tenant_id: the webhook's tenant.
            webhook_id: the webhook.
            once: of a form that may be sent twice: nothing changes if the secret is there already.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        async with self._access.tenant(who, tenant_id, "webhook.rotate-secret") as scope:
            scope.require(EDIT_WEBHOOKS)
            webhook = await found_webhook(scope, webhook_id, locked=True)
            now, key = scope.unit.clock(), new_key() if once is None else key_of(once.seed)
            if key in [each.secret for each in webhook.keys]:
                scope.audit_target("webhook", webhook.id)
                return webhook
            older = [replace(key, until=key.until or now + OVERLAP) for key in webhook.keys]
            valid = [key for key in older if key.until is None or key.until > now]
            keys = (SigningKey(key), *valid)[:_MOST_KEYS]
            rotated = replace(webhook, keys=keys, updated_at=now)
            await WebhookRows(scope.unit).replace(rotated)
            scope.audit_target("webhook", webhook.id)
            return rotated

    async def send_test(self, who: Principal, tenant_id: str, webhook_id: str) -> str:
        """Send a webhook an event of the type `webhook.test`, whatever it asked for; return the event's id.

        Raises:
            NotFound: the tenant has no such webhook.
            StateConflict: it is disabled.
        """
        async with self._access.tenant(who, tenant_id, "webhook.test") as scope:
            scope.require(EDIT_WEBHOOKS)
            webhook = await enabled_webhook(scope, webhook_id)
            event_id = await Outbox(scope.unit).record(EventType.webhook_test, {"webhook_id": webhook.id})
            await Deliveries(scope.unit).add(webhook.id, event_id)
            scope.audit_target("webhook", webhook.id)
            return event_id

    def _check_url(self, url: str) -> None:
        check_uri(url, allow_insecure=self._allow_insecure, pointer="/data/attributes/url")


async def found_webhook(scope: Scope, webhook_id: str, *, locked: bool = False) -> Webhook:
    """Return a webhook of the scope's tenant.

    Args:
        scope: at the tenant.
        webhook_id: the webhook.
        locked: keep others from changing it until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    webhook = await WebhookRows(scope.unit).find(webhook_id, locked=locked)
    if webhook is None:
        raise _no_webhook()
    return webhook


async def enabled_webhook(scope: Scope, webhook_id: str) -> Webhook:
    """Return a webhook to which something can be sent, locked.

    Raises:
        NotFound: there is none.
        StateConflict: it is disabled.
    """
    webhook = await found_webhook(scope, webhook_id, locked=True)
    require_enabled(webhook)
    return webhook


def _require_may_receive_links(scope: Scope) -> None:
    """Insist on somebody who may have whatever the links of `user.invited` give: accounts of the tenant (decision 24).

    Raises:
        Forbidden: the caller may not create users, or not give them any role.
    """
    if not (scope.allows(CREATE_USERS) and scope.allows(GIVE_TENANT_ROLES)):
        detail = f"{EventType.user_invited} carries links: this needs {CREATE_USERS} and {GIVE_TENANT_ROLES}"
        raise Forbidden(detail, pointer="/data/attributes/event_types")


def _receives_more_links(before: Webhook, after: Webhook) -> bool:
    """Tell whether a change sends links where none went before."""
    if not (after.enabled and after.wants(EventType.user_invited)):
        return False
    return not before.enabled or not before.wants(EventType.user_invited) or before.url != after.url


def require_enabled(webhook: Webhook) -> None:
    """Insist that something can be sent to a webhook.

    Raises:
        StateConflict: it is disabled.
    """
    if not webhook.enabled:
        raise StateConflict("the webhook is disabled; enable it first")


def _no_webhook() -> NotFound:
    return NotFound("there is no such webhook in this tenant")
