"""A tenant's webhooks; address and signing secrets encrypted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, false, func, select, update

from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.model.events import EventType, SigningKey, Webhook
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit, changing
from keyrack.store.schema import webhooks
from keyrack.store.search_index import is_named

_w = webhooks.c

_ONE = select(*_w).where(_w.id == bindparam("id"))
_BY_ID = TenantQuery(webhooks, _ONE)
_LOCKED = TenantQuery(webhooks, changing(_ONE))
_NUMBER = TenantQuery(webhooks, select(func.count().label("number")).select_from(webhooks))
_DISABLING = TenantChange(
    webhooks,
    update(webhooks)
    .where(_w.id == bindparam("id"), _w.enabled)
    .values(enabled=false(), disabled_reason=bindparam("reason"), updated_at=bindparam("now")),
)
_REMOVAL = TenantChange(webhooks, delete(webhooks).where(_w.id == bindparam("id")), scans=True)


class WebhookRows(TenantTable):
    """The webhooks of the unit's tenant."""

    table = webhooks

    async def add(self, webhook: Webhook) -> None:
        """Store a new webhook."""
        await self.insert({"id": webhook.id, "created_at": webhook.created_at, **await self._columns(webhook)})

    async def find(self, webhook_id: str, *, locked: bool = False) -> Webhook | None:
        """Return one by its id, or None.

        Args:
            webhook_id: its id.
            locked: keep others from changing it until the transaction ends.
        """
        row = await self.ask_one(_LOCKED if locked else _BY_ID, id=webhook_id)
        return None if row is None else await read_webhook(self.unit, row)

    async def page(
        self, *, beginning: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Webhook], int]:
        """List the webhooks by id, perhaps only those that are named so; return a page and the number of all."""
        query = self.select().order_by(webhooks.c.id)
        if beginning:
            query = query.where(is_named("webhook", webhooks.c.id, beginning))
        rows, total = await page_of(self.unit.connection, query, webhooks.c.id, limit=limit, offset=offset)
        return [await read_webhook(self.unit, row) for row in rows], total

    async def count(self) -> int:
        """Return how many there are."""
        (row,) = await self.ask(_NUMBER)
        return int(row.number)

    async def replace(self, webhook: Webhook) -> None:
        """Store all changeable values of an existing webhook."""
        await self.set_columns(webhook.id, await self._columns(webhook))

    async def disable(self, webhook_id: str, reason: str) -> bool:
        """Send it nothing any more; False if it was disabled or gone already."""
        return await self.make(_DISABLING, id=webhook_id, reason=reason, now=self.unit.clock()) == 1

    async def remove(self, webhook_id: str) -> bool:
        """Delete one with its deliveries; False if there was none."""
        return await self.make(_REMOVAL, id=webhook_id) == 1

    async def _columns(self, webhook: Webhook) -> dict[str, Any]:
        keys = [
            {"secret": key.secret.reveal(), "until": None if key.until is None else iso(key.until)}
            for key in webhook.keys
        ]
        return {
            "description": webhook.description,
            "sealed_url": await self.unit.seal(webhooks, webhook.id, "sealed_url", webhook.url),
            "sealed_keys": await self.unit.seal(webhooks, webhook.id, "sealed_keys", keys),
            "event_types": None if webhook.event_types is None else [kind.value for kind in webhook.event_types],
            "enabled": webhook.enabled,
            "disabled_reason": webhook.disabled_reason,
            "updated_at": self.unit.clock(),
        }


async def read_webhook(unit: Unit, row: "Row[Any]") -> Webhook:
    """Return a row of `webhooks` as a value, in the unit of its tenant.

    Raises:
        DecryptionFailed, WrongKey: it cannot be opened.
    """
    keys = await unit.open(webhooks, row.id, "sealed_keys", row.sealed_keys)
    return Webhook(
        id=row.id,
        tenant_id=row.tenant_id,
        url=await unit.open(webhooks, row.id, "sealed_url", row.sealed_url),
        description=row.description,
        event_types=None if row.event_types is None else tuple(EventType(name) for name in row.event_types),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        keys=tuple(_key(key) for key in keys),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _key(stored: Mapping[str, Any]) -> SigningKey:
    until = stored["until"]
    return SigningKey(Secret(stored["secret"]), None if until is None else datetime.fromisoformat(until))
