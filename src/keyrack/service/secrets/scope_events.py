"""Tells a tenant that a provider granted less than was asked for (contract 0.23)."""

from collections.abc import Collection
from datetime import datetime

from keyrack.clock import iso
from keyrack.model import Json
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret
from keyrack.store.core.unit import Unit
from keyrack.store.outbox import Outbox


async def tell_missing_scopes(unit: Unit, before: Collection[str], secret: AuthSecret, at: datetime) -> None:
    """Write the event `secret.scopes_missing` if other scopes are missing now than before, in the secret's own unit.

    Arguments are those of `missing_scopes_event`.
    """
    event = missing_scopes_event(before, secret, at)
    if event is not None:
        await Outbox(unit).add(*event)


def missing_scopes_event(before: Collection[str], secret: AuthSecret, at: datetime) -> tuple[EventType, Json] | None:
    """Return the event `secret.scopes_missing` if other scopes are missing now than before, else None.

    Args:
        before: what was missing; nothing for a new grant.
        secret: as it is stored.
        at: when the answer came.
    """
    missing = secret.missing_scopes
    if not missing or set(missing) == set(before):
        return None
    facts: Json = {
        "secret_id": secret.id,
        "workspace_id": secret.workspace_id,
        "auth_client_id": secret.auth_client_id,
        "requested_scopes": list(secret.requested_scopes),
        "missing_scopes": list(missing),
        "at": iso(at),
    }
    return EventType.secret_scopes_missing, facts
