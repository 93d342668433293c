"""SQL conditions for who sees which component: the predicates of contract section 5 under their names.

The one place that says it, for lists, single reads, flow validation and consents alike; the gate is in
`component_gate`. A component that was deleted has no row; the tenant of a place is that of the unit of work.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select, true

from keyrack.model.components import ComponentAccess
from keyrack.store.component_gate import IS_GLOBAL, gate, gate_opens
from keyrack.store.schema import component_whitelists, components, contracts

_TENANT = components.c.access == ComponentAccess.tenant.value


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Where components are looked at from: a contract, or a workspace in it.

    Attributes:
        tenant_id: the contract's tenant.
        contract_id: the contract; also a column, to ask about several contracts in one query.
        whitelisting: it is a workspace in which the tenant's whitelist counts (`whitelist_flag`, and type `full`).
    """

    tenant_id: str
    contract_id: str | ColumnElement[str]
    whitelisting: bool = False


def tenant_sees(tenant_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Any access inside the own tenant, or global."""
    return or_(components.c.tenant_id == tenant_id, IS_GLOBAL)


def contract_has(view: Viewpoint) -> ColumnElement[bool]:
    """The component can be used in the contract."""
    return and_(_reaches_contract(view), gate(view.tenant_id, view.contract_id))


def workspace_has_ungated(view: Viewpoint) -> ColumnElement[bool]:
    """What a workspace has, without the gate: tells a closed gate from a component that is not there (contract 0.4)."""
    return and_(_reaches_contract(view), whitelisted(view))


def whitelisted(view: Viewpoint) -> ColumnElement[bool]:
    """Where the tenant whitelists: the component is the contract's own or whitelisted for it."""
    return or_(components.c.contract_id == view.contract_id, _listed(view))


def visibility_parts(place: Viewpoint | str, *, own: bool | None = None) -> Sequence[ColumnElement[bool]]:
    """Return `contract_has` or `workspace_has` of a place, or `tenant_sees`, cut into parts.

    No component is in two of them, and each has an index of `components` that finds, orders and counts it without
    reading components: a list is their sum, however many rows there are.

    Args:
        place: what has components; a tenant by its id.
        own: only what the contract itself owns, or only what it does not; not of a tenant.
    """
    c = components.c
    if isinstance(place, str):
        narrow = [access for access in ComponentAccess if access is not ComponentAccess.everyone]
        return [*(and_(c.tenant_id == place, c.access == access.value) for access in narrow), IS_GLOBAL]
    # The tenant is asked of the contract: it need not be in the index, and a narrow one is read rather than the table.
    of_tenants = select(contracts.c.id).where(
        contracts.c.id == place.contract_id, contracts.c.tenant_id == place.tenant_id
    )
    of_contract = and_(c.contract_id == place.contract_id, of_tenants.exists())
    from_others = and_(c.contract_id != place.contract_id, _listed(place))
    of_tenant = and_(c.tenant_id == place.tenant_id, _TENANT, from_others)
    of_everybody = and_(IS_GLOBAL, from_others, gate_opens(place.tenant_id))
    if own is None:
        return [of_contract, of_tenant, of_everybody]
    return [of_contract] if own else [of_tenant, of_everybody]


def _reaches_contract(view: Viewpoint) -> ColumnElement[bool]:
    c = components.c
    return or_(c.contract_id == view.contract_id, and_(_TENANT, c.tenant_id == view.tenant_id), IS_GLOBAL)


def _listed(view: Viewpoint) -> ColumnElement[bool]:
    if not view.whitelisting:
        return true()
    w, c = component_whitelists.c, components.c
    listed = (
        select(w.component_id)
        .where(w.component_id == c.id, w.contract_id == view.contract_id, w.tenant_id == view.tenant_id)
        .correlate(components)
    )
    return listed.exists()
