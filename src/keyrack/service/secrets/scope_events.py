"""Tells a tenant that a provider granted less than was asked for (contract 0.23)."""

from collections.abc import Collection
from datetime import datetime

from keyrack.clock import iso
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret
from keyrack.store.core.unit import Unit
from keyrack.store.outbox import Outbox


async def tell_missing_scopes(unit: Unit, before: Collection[str], secret: AuthSecret, at: datetime) -> None:
    """Write the event `secret.scopes_missing` if other scopes are missing now than before.

    Args:
        unit: of the tenant; the one that stores the secret.
        before: what was missing; nothing for a new grant.
        secret: as it is stored.
        at: when the answer came.
    """
    missing = secret.missing_scopes
    if not missing or set(missing) == set(before):
        return
    facts = {
        "secret_id": secret.id,
        "workspace_id": secret.workspace_id,
        "auth_client_id": secret.auth_client_id,
        "requested_scopes": list(secret.requested_scopes),
        "missing_scopes": list(missing),
        "at": iso(at),
    }
    await Outbox(unit).add(EventType.secret_scopes_missing, facts)
