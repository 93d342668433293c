"""Tells tenants that the secret of a client ends, or has ended, at the provider (decision 27)."""

from collections.abc import Sequence

import structlog

from keyrack.clock import iso
from keyrack.model import Json
from keyrack.model.events import EventType
from keyrack.service.clients.secret_expiry import days_left, next_reminder
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.expiring_clients import EndingSecrets, ExpiringClient, ExpiringClients
from keyrack.store.outbox import Outbox
from keyrack.store.tenants import TenantRows

log = structlog.get_logger()

_Happened = tuple[EventType, Json]


class SecretReminders:
    """Writes the events `client.secret_expiring` and `client.secret_expired`.

    An event and the time of the next one are written together, in a transaction that keeps the client from all others.
    So each is told once, by whichever worker comes first; of several that nobody was there to tell, the latest.

    Args:
        store: where the clients are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tick(self) -> int:
        """Tell what is due now, of each tenant some of it; return of how many clients.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        async with self._store.installation() as unit:
            owners = await EndingSecrets(unit).whose()
        return sum([await (self._tell(owner) if owner else self._note_global()) for owner in owners])

    async def _tell(self, tenant_id: str) -> int:
        async with self._store.unit(tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold():
                return 0
            happened = await _due(unit)
            await Outbox(unit).add_all(happened)
        return len(happened)

    async def _note_global(self) -> int:
        """Leave what is the operator's, who has no webhooks, in the log."""
        async with self._store.installation(writes=True) as unit:
            happened = await _due(unit)
        for kind, facts in happened:
            log.warning(kind.value, auth_client=facts["auth_client_id"], days_left=facts["days_left"])
        return len(happened)


async def _due(unit: Unit) -> Sequence[_Happened]:
    """Return what is to be told now of the clients of a unit's owner, and note when it is told next."""
    clients, now = ExpiringClients(unit), unit.clock()
    happened = []
    for client in await clients.due():
        happened.append(_event(client, days_left(client.secret_expires_at, now), iso(now)))
        await clients.remind_at(client, next_reminder(client.secret_expires_at, now))
    return happened


def _event(client: ExpiringClient, left: int, now: str) -> _Happened:
    kind = EventType.client_secret_expiring if left else EventType.client_secret_expired
    facts: Json = {"oauth_client_id" if client.is_oauth_client else "auth_client_id": client.id}
    place = {name: getattr(client, name) for name in ("component_id", "contract_id", "workspace_id")}
    facts |= {name: value for name, value in place.items() if value is not None}
    return kind, facts | {"secret_expires_at": iso(client.secret_expires_at), "days_left": left, "at": now}
