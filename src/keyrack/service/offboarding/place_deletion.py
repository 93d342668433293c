"""Deletes contracts and workspaces with all that is in them, in one transaction (contract sections 9, 10 and 22).

Flows with drafts, versions and task keys, credentials, consents, auth clients, teams, components with builds and
variables go by themselves, being parts of what is deleted (`keyrack.store.schema`). Secrets are deleted one by one as
`keyrack.service.secrets.secrets` does it, so that their tokens are revoked and told of. A refresh under way finds its
secret gone and writes nothing. Auth clients that Keyrack registered at their server are deregistered there. OAuth
clients belong to the tenant and stay.
"""

from collections.abc import Sequence

from keyrack.model.clients import is_oauth2
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.usage_guard import require_contract_unused
from keyrack.service.clients.deletion_window import forget_those_of
from keyrack.service.clients.deregistration import enqueue_deregistrations
from keyrack.service.secrets.revocation import enqueue
from keyrack.store.auth_clients import AuthClientRows, find_usable_among
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractRows
from keyrack.store.core.unit import Unit
from keyrack.store.place_contents import ContractContents, PlaceContents
from keyrack.store.workspaces import WorkspaceRows

_AT_ONCE = 200
"""Secrets that are held in clear at a time."""


class PlaceDeletion:
    """For those who delete contracts and workspaces."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def contents(self, who: Principal, contract_id: str) -> ContractContents:
        """Return how much would be deleted with a contract, to those who may delete it.

        Raises:
            NotFound: there is no such contract.
        """
        async with self._access.contract(who, contract_id) as scope:
            scope.require("contracts.contract.delete")
            return await PlaceContents(scope.unit).of_contract(contract_id)

    async def delete_contract(self, who: Principal, contract_id: str) -> None:
        """Delete a contract with all that is in it (section 22); the tenant's OAuth clients stay (24.28).

        Raises:
            NotFound: there is no such contract.
            InUse: a flow of another contract names a component of this one.
        """
        async with self._access.contract(who, contract_id, "contract.delete", exclusive=True) as scope:
            scope.require("contracts.contract.delete")
            workspace_ids = await remove_unused(scope, contract_id)
            scope.audit_target("contract", contract_id)
            for workspace_id in workspace_ids:
                scope.audit_target("workspace", workspace_id)

    async def delete_workspace(self, who: Principal, workspace_id: str) -> None:
        """Delete a workspace with all that is in it (section 22).

        Raises:
            NotFound: there is no such workspace.
        """
        async with self._access.workspace(who, workspace_id, "workspace.delete", exclusive=True) as scope:
            scope.require("contracts.workspace.delete", "workspaces.workspace.edit")
            await remove_workspace(scope.unit, workspace_id)
            scope.audit_target("workspace", workspace_id)


async def remove_unused(scope: Scope, contract_id: str) -> Sequence[str]:
    """Delete a contract that the scope's unit holds alone, with all that is in it; return its workspaces' ids.

    Raises:
        InUse: a flow of another contract names a component of this one.
    """
    await ComponentRows(scope.unit).lock_all_of(contract_id)
    await require_contract_unused(scope, contract_id)
    return await remove_contract(scope.unit, contract_id)


async def remove_workspace(unit: Unit, workspace_id: str) -> None:
    """Delete a workspace that the unit holds alone, with all that is in it.

    Args:
        unit: of its tenant; the place was entered with `exclusive`.
        workspace_id: the workspace.
    """
    await _remove_secrets(unit, [workspace_id])
    await enqueue_deregistrations(unit, [workspace_id])
    await forget_those_of(unit, [workspace_id])
    await WorkspaceRows(unit).remove(workspace_id)


async def remove_contract(unit: Unit, contract_id: str) -> Sequence[str]:
    """Delete a contract that the unit holds alone, with all that is in it; return the ids of its workspaces.

    Args:
        unit: of its tenant; the place was entered with `exclusive`.
        contract_id: the contract, of whose components nobody else makes use.
    """
    workspace_ids = await WorkspaceRows(unit).of_contract(contract_id)
    await _remove_secrets(unit, workspace_ids)
    await enqueue_deregistrations(unit, workspace_ids, contract_id)
    await forget_those_of(unit, workspace_ids, contract_id)
    await ContractRows(unit).remove(contract_id)
    return workspace_ids


async def _remove_secrets(unit: Unit, workspace_ids: Sequence[str]) -> None:
    secrets = AuthSecrets(unit)
    client_ids = await secrets.clients_in(workspace_ids)
    # Clients before secrets, as everybody who locks both (`keyrack.store.auth_client_health`).
    await AuthClientRows(unit).lock_all(client_ids)
    await AuthClientRows(unit.of_installation()).lock_all(client_ids)
    clients = await find_usable_among(unit, client_ids)
    for workspace_id in workspace_ids:
        while some := await secrets.lock_some_of(workspace_id, _AT_ONCE):
            for secret in some:
                client = clients.get(secret.auth_client_id)
                if client is not None and is_oauth2(secret.type):
                    await enqueue(unit, secret, client)
                await secrets.remove(secret.id)
