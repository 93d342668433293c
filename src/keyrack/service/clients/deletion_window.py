"""Keeps a client that is deleted for a time, and deletes for good what was kept (decision 53)."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import AlreadyExists, WrongKey
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.deleted_clients import ClientKind, DeletedClient
from keyrack.service.clients.deregistration import (
    enqueue_deregistration,
    enqueue_deregistrations_of_tenant,
    enqueue_end_of_registration,
)
from keyrack.store.core.unit import Unit
from keyrack.store.deleted_clients import DeletedClients

log = structlog.get_logger()

MOST_KEPT = 1000
"""Deleted clients of a tenant; with more, those that were deleted first cannot be restored any longer."""


async def keep_or_end(unit: Unit, client: AuthClient | OAuthClient, kept_for: timedelta) -> None:
    """Keep a client that is deleted in this transaction, and is still there, so that it can be restored.

    If it is not kept, and Keyrack registered it at its server, it is deregistered there.

    Args:
        unit: of the client's owner; the deletion's own.
        client: which nobody else changes meanwhile.
        kept_for: for how long; nothing: not at all.
    """
    kind = ClientKind.auth if isinstance(client, AuthClient) else ClientKind.oauth
    kept = DeletedClients(unit)
    if kept_for:
        try:
            await kept.put(kind, client.id, unit.clock() + kept_for)
        except AlreadyExists:
            log.warning("a deleted client cannot be restored", kind=kind.value, client=client.id)
        else:
            while surplus := await kept.surplus(MOST_KEPT):
                for client_id in surplus:
                    await forget(unit, client_id)
            return
    if isinstance(client, AuthClient):
        await enqueue_deregistration(unit, client)


async def forget(unit: Unit, client_id: str, *, ended: bool = False) -> DeletedClient | None:
    """Delete a client for good that was kept, in this transaction; what Keyrack registered of it is deregistered.

    Args:
        unit: of the client's owner.
        client_id: the client.
        ended: only if its time is over.

    Returns:
        What it was; None: there is none.
    """
    kept = DeletedClients(unit)
    await kept.lock_to_delete(client_id)
    deleted = await kept.find(client_id)
    if deleted is None or (ended and deleted.ends_at > unit.clock()):
        return None
    if deleted.kind is ClientKind.auth:
        try:
            await enqueue_end_of_registration(unit, client_id, await kept.credentials_of(client_id))
        except (DecryptionFailed, WrongKey):  # all that is lost by that is the deregistration
            log.warning("a deleted client cannot be read, and is not deregistered", client=client_id)
    await kept.forget(client_id)
    return deleted


async def forget_those_of(unit: Unit, workspace_ids: Sequence[str], contract_id: str | None = None) -> None:
    """As `forget`, for all clients of places that are deleted in this transaction.

    Args:
        unit: of the tenant.
        workspace_ids: the workspaces.
        contract_id: the contract around them, if it is deleted too.
    """
    for client_id in await DeletedClients(unit).of_places(workspace_ids, contract_id):
        await forget(unit, client_id)


async def end_clients_of_tenant(unit: Unit) -> None:
    """Have all clients deregistered of a tenant that is deleted in this transaction, deleted ones too.

    Args:
        unit: of the tenant.
    """
    await enqueue_deregistrations_of_tenant(unit)
    for client_id in await DeletedClients(unit).ids():
        await forget(unit, client_id)
