"""What goes with a workspace or a contract (contract section 22), in the transaction that deletes it.

Flows with drafts, versions and task keys, credentials, consents, auth clients, teams, components with builds and
variables go by themselves, being parts of what is deleted (`keyrack.store.schema`). Secrets are deleted one by one as
`keyrack.service.secrets.secrets` does it, so that their tokens are revoked and told of. A refresh under way finds its
secret gone and writes nothing. OAuth clients belong to the tenant and stay.
"""

from collections.abc import Sequence

from keyrack.service.secrets.refresh.tokens import is_oauth2
from keyrack.service.secrets.revocation import enqueue
from keyrack.store.auth_clients import AuthClients, find_usable_among
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.contracts import Contracts
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.unit import Unit
from keyrack.store.workspaces import Workspaces

_AT_ONCE = 200
"""Secrets that are held in clear at a time."""


async def remove_workspace(unit: Unit, workspace_id: str) -> None:
    """Delete a workspace that the unit holds alone, with all that is in it.

    Args:
        unit: of its tenant; the place was entered with `alone`.
        workspace_id: the workspace.
    """
    await _remove_secrets(unit, [workspace_id])
    await Workspaces(unit).remove(workspace_id)


async def remove_contract(unit: Unit, contract_id: str) -> Sequence[str]:
    """Delete a contract that the unit holds alone, with all that is in it; return the ids of its workspaces.

    Args:
        unit: of its tenant; the place was entered with `alone`.
        contract_id: the contract, of whose components nobody else makes use.
    """
    workspace_ids = await Workspaces(unit).of_contract(contract_id)
    await _remove_secrets(unit, workspace_ids)
    await Contracts(unit).remove(contract_id)
    return workspace_ids


async def _remove_secrets(unit: Unit, workspace_ids: Sequence[str]) -> None:
    secrets = AuthSecrets(unit)
    client_ids = await secrets.clients_in(workspace_ids)
    # Clients before secrets, as everybody who locks both (`keyrack.store.auth_client_health`).
    await AuthClients(unit).lock_all(client_ids)
    await AuthClients(unit.of(INSTALLATION)).lock_all(client_ids)
    clients = await find_usable_among(unit, client_ids)
    for workspace_id in workspace_ids:
        while some := await secrets.lock_some_of(workspace_id, _AT_ONCE):
            for secret in some:
                client = clients.get(secret.auth_client_id)
                if client is not None and is_oauth2(secret.type):
                    await enqueue(unit, secret, client)
                await secrets.remove(secret.id)
