"""Refuses what the operator has frozen to everybody who reads it (decision 47)."""

from keyrack.errors import FrozenError
from keyrack.store.core.unit import Unit
from keyrack.store.freezes import Freezes


async def require_thawed(unit: Unit, tenant_id: str, auth_client_id: str) -> None:
    """Insist that an auth secret is not frozen.

    Raises:
        FrozenError: its tenant, its client or its provider is.
    """
    if (await Freezes(unit).frozen()).covers(tenant_id, auth_client_id):
        raise FrozenError


async def require_component_thawed(unit: Unit, tenant_id: str, component_id: str | None = None) -> None:
    """Insist that what a tenant has for a component is not frozen: its OAuth client, and the credentials with it.

    Args:
        unit: any.
        tenant_id: the tenant.
        component_id: the component; None: of no one in particular.

    Raises:
        FrozenError: the tenant, or its OAuth client for the component, is.
    """
    frozen = await Freezes(unit).frozen()
    if tenant_id in frozen.tenants or (component_id and frozen.covers_component(tenant_id, component_id)):
        raise FrozenError
