"""Has the registration of a deleted auth client deleted at its authorization server (RFC 7592 section 2.3).

As with tokens (`secrets.revocation`), the order belongs into the transaction that deletes the client, a worker does the
rest, and nothing of it holds up the deletion. It is due a little later than what is ordered for the client's tokens at
the same time: those are revoked in the name of the client.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.unit import Unit
from keyrack.store.revocations import Revocations, Subject

AFTER_TOKENS = timedelta(seconds=30)
_AT_ONCE = 200
"""Clients that are held in clear at a time."""


async def enqueue_deregistration(unit: Unit, client: AuthClient) -> None:
    """Have a client deregistered that is deleted in this transaction, if Keyrack can.

    Args:
        unit: of the client's owner; the deletion's own.
        client: what is being deleted.
    """
    if is_oauth2(client.type):
        await enqueue_end_of_registration(unit, client.id, client.credentials)


async def enqueue_end_of_registration(unit: Unit, client_id: str, credentials: Mapping[str, Any]) -> None:
    """As `enqueue_deregistration`, by what is left of a client that speaks OAuth 2.0: its credentials."""
    members = (REGISTRATION_CLIENT_URI, REGISTRATION_ACCESS_TOKEN)
    order = {name: credentials[name] for name in members if credentials.get(name)}
    if len(order) == len(members):
        await Revocations(unit).add(Subject("", "", client_id), order, after=AFTER_TOKENS)


async def enqueue_deregistrations(unit: Unit, workspace_ids: Sequence[str], contract_id: str | None = None) -> None:
    """As `enqueue_deregistration`, for all clients of places that are deleted in this transaction.

    Args:
        unit: of the tenant.
        workspace_ids: the workspaces.
        contract_id: the contract around them, if it is deleted too.
    """
    await _enqueue_each(unit, await AuthClientRows(unit).of_places(workspace_ids, contract_id))


async def enqueue_deregistrations_of_tenant(unit: Unit) -> None:
    """As `enqueue_deregistration`, for all clients of a tenant that is deleted in this transaction.

    The orders outlive the tenant (`store.revocations`).

    Args:
        unit: of the tenant.
    """
    await _enqueue_each(unit, await AuthClientRows(unit).ids())


async def _enqueue_each(unit: Unit, ids: Sequence[str]) -> None:
    rows = AuthClientRows(unit)
    for start in range(0, len(ids), _AT_ONCE):
        for client in (await rows.find_many(ids[start : start + _AT_ONCE])).values():
            await enqueue_deregistration(unit, client)
