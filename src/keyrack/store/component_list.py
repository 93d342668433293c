"""Lists of components as a place sees them, narrowed and cut into pages in the database (contract section 13)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select

from keyrack.model.components import Component
from keyrack.store.component_gate import gate
from keyrack.store.component_visibility import (
    Viewpoint,
    contract_has,
    tenant_sees,
    visibility_parts,
    whitelisted,
    workspace_has_ungated,
)
from keyrack.store.components import ComponentRows
from keyrack.store.core.paging import After
from keyrack.store.core.unit import TenantTable
from keyrack.store.schema import components, contract_members, flow_references, flows


@dataclass(frozen=True, slots=True)
class ComponentFilter:
    """What a list of components is narrowed to, beside what the tenant sees; None narrows nothing."""

    had_at: Viewpoint | None = None
    """`contract_has` or `workspace_has` (contract section 5)."""
    own: bool | None = None
    """Only what the contract of `had_at` owns, or only what it does not."""
    id: str | None = None
    named_in: str | None = None
    """A workspace whose flows name them in graphs or stored versions, not only in drafts."""
    named: str = ""
    """What their name has in it, whatever the case of letters."""


class ComponentList(TenantTable):
    """The components that the unit's tenant sees, as lists."""

    table = components

    async def page(
        self, wanted: ComponentFilter, *, leave_out: bool = False, limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Component], int]:
        """List components by id; return a page and the total. Large descriptors may be left out: `ComponentRows`."""
        return await ComponentRows(self.unit).matching(
            self._parts(wanted), leave_out=leave_out, limit=limit, offset=offset
        )

    async def among(self, view: Viewpoint, component_ids: Sequence[str]) -> Mapping[str, bool]:
        """Return which of some components a place has but for the gate, and whether the gate is open for each."""
        c = components.c
        query = select(c.id, gate(view.tenant_id, view.contract_id).label("open")).where(
            c.id.in_(component_ids), workspace_has_ungated(view)
        )
        return {row.id: bool(row.open) for row in await self.all(query)}

    async def not_whitelisted(self, view: Viewpoint, component_ids: Sequence[str]) -> Sequence[Component]:
        """Return by id those of some components that the tenant sees, but that its whitelist keeps from a workspace."""
        chosen = and_(tenant_sees(self.unit.tenant_id), components.c.id.in_(component_ids), ~whitelisted(view))
        found, _ = await ComponentRows(self.unit).matching([chosen], limit=None, offset=0)
        return found

    async def had_by_member(self, user_id: str, component_id: str) -> bool:
        """Tell whether some contract of a user has a component."""
        m = contract_members.c
        view = Viewpoint(self.unit.tenant_id, m.contract_id)
        query = (
            select(components.c.id)
            .join_from(contract_members, components, contract_has(view))
            .where(m.user_id == user_id, m.tenant_id == self.unit.tenant_id, components.c.id == component_id)
        )
        return await self.value(query.limit(1)) is not None

    def _parts(self, wanted: ComponentFilter) -> Sequence[ColumnElement[bool]]:
        """What to look for: each part by an index of its own, or all at once among the few that are asked about."""
        c, few = components.c, list[ColumnElement[bool]]()
        if wanted.id is not None:
            few.append(c.id == wanted.id)
        if wanted.named_in is not None:
            r, f = flow_references.c, flows.c
            named = (
                select(r.component_id)
                .join_from(flow_references, flows, r.flow_id == f.id)
                .where(f.tenant_id == self.unit.tenant_id, f.workspace_id == wanted.named_in, r.place != "draft")
            )
            few.append(c.id.in_(named))
        if wanted.named:
            few.append(func.lower(c.name).contains(wanted.named.lower(), autoescape=True))
        found = visibility_parts(wanted.had_at or self.unit.tenant_id, own=wanted.own)
        return [and_(or_(*found), *few)] if few else found
