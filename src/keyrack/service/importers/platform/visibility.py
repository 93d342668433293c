"""Applies contract section 5 to components of a file, as `store.component_visibility` does to stored ones.

A file is judged as a whole before anything of it is written, so the database cannot be asked. One test holds both
against the contract's text, over the same random worlds.
"""

from dataclasses import dataclass

from keyrack.model.components import Component, ComponentAccess
from keyrack.model.tenancy import Tenant, Workspace


@dataclass(frozen=True, slots=True)
class FileViewpoint:
    """A contract from which components are looked at.

    Attributes:
        tenant: the contract's tenant.
        contract_id: the contract.
        clients: ids of the components the tenant has an OAuth client for.
    """

    tenant: Tenant
    contract_id: str
    clients: frozenset[str]


def tenant_sees(tenant_id: str, component: Component) -> bool:
    """Any access inside the own tenant, or global."""
    return component.access is ComponentAccess.everyone or component.tenant_id == tenant_id


def gate(view: FileViewpoint, component: Component) -> bool:
    """A global component that asks for an OAuth client opens when the tenant has one; its owner always passes."""
    return (
        component.contract_id == view.contract_id
        or component.access is not ComponentAccess.everyone
        or not component.uses_oauth_client
        or component.id in view.clients
    )


def contract_has_ungated(view: FileViewpoint, component: Component) -> bool:
    """The component can be used in this contract, but for the gate."""
    return (
        component.contract_id == view.contract_id
        or (component.access is ComponentAccess.tenant and component.tenant_id == view.tenant.id)
        or component.access is ComponentAccess.everyone
    )


def workspace_has_ungated(view: FileViewpoint, workspace: Workspace, component: Component) -> bool:
    """The component can be used in this workspace, but for the gate."""
    return contract_has_ungated(view, component) and _whitelisted(view, workspace, component)


def _whitelisted(view: FileViewpoint, workspace: Workspace, component: Component) -> bool:
    return (
        not view.tenant.whitelists_in(workspace)
        or component.contract_id == workspace.contract_id
        or workspace.contract_id in component.whitelisted_contract_ids
    )
