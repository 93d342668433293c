"""The gate on global components that need an OAuth client (contract 0.4, section 5), as SQL conditions."""

from sqlalchemy import ColumnElement, not_, or_, select

from keyrack.model.components import ComponentAccess
from keyrack.store.schema import components, oauth_clients

IS_GLOBAL = components.c.access == ComponentAccess.everyone.value


def gate(tenant_id: str, contract_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """A global component that asks for an OAuth client opens when the tenant has one; its owner always passes."""
    return or_(components.c.contract_id == contract_id, not_(IS_GLOBAL), gate_opens(tenant_id))


def gate_opens(tenant_id: str) -> ColumnElement[bool]:
    """The component asks for no OAuth client, or the tenant has one for it."""
    x, c = oauth_clients.c, components.c
    has_client = select(x.id).where(x.tenant_id == tenant_id, x.component_id == c.id).correlate(components)
    return or_(not_(c.uses_oauth_client), has_client.exists())
