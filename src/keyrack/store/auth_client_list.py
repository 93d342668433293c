"""Lists of the auth clients that somebody knows of, in all scopes: rejected ones first, or those whose secret ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, false, func, or_, select, true

from keyrack.model.clients import AuthClientFilter, AuthClientScope, ListedAuthClient
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.paging import keys_in_groups, search_key
from keyrack.store.core.unit import TENANT, TenantQuery, TenantTable
from keyrack.store.schema import auth_client_components, auth_clients, contracts, workspaces


@dataclass(frozen=True, slots=True)
class KnownScopes:
    """The scopes whose clients somebody knows of.

    Attributes:
        everyones: global clients.
        tenants: those of the tenant itself.
        all_contracts: those of all contracts.
        all_workspaces: those of all workspaces.
        contract_ids: those of these contracts.
        workspaces_of: those of the workspaces of these contracts.
        workspace_ids: those of these workspaces.
    """

    everyones: bool = False
    tenants: bool = False
    all_contracts: bool = False
    all_workspaces: bool = False
    contract_ids: frozenset[str] = frozenset()
    workspaces_of: frozenset[str] = frozenset()
    workspace_ids: frozenset[str] = frozenset()


class OwnOrGlobal(TenantQuery):
    """A query over the auth clients of the unit's tenant and the global ones, which all tenants can use."""

    @classmethod
    def condition(cls, table: Any) -> ColumnElement[bool]:
        """Return the condition that a client is one of these."""
        return or_(table.c.tenant_id == TENANT, table.c.tenant_id == INSTALLATION)


_c, _l = auth_clients.c, auth_client_components.c
_LINKS = select(func.count()).where(_l.auth_client_id == _c.id).correlate(auth_clients).scalar_subquery()
_BY_IDS = OwnOrGlobal(
    auth_clients,
    select(
        *(_c.id, _c.tenant_id, _c.workspace_id, _c.name, _c.type, _c.rejected_at, _c.rejection, _c.secret_expires_at),
        func.coalesce(_c.contract_id, workspaces.c.contract_id).label("contract_id"),
        func.coalesce(workspaces.c.name, contracts.c.name).label("place_name"),
        _LINKS.label("components"),
    )
    .outerjoin_from(auth_clients, workspaces, _c.workspace_id == workspaces.c.id)
    .outerjoin(contracts, _c.contract_id == contracts.c.id)
    .where(_c.id.in_(bindparam("ids", expanding=True))),
    scans=True,
)


class AuthClientList(TenantTable):
    """The auth clients of the unit's tenant and global ones, as lists."""

    table = auth_clients

    async def page(
        self, known: KnownScopes, wanted: AuthClientFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[ListedAuthClient], int]:
        """List the clients of the known scopes that are wanted, rejected ones first; return a page and the total."""
        order: tuple[ColumnElement[Any], ...] = (_c.name_key, _c.id)
        if wanted.secret_expires_before is not None:
            order, groups = (_c.secret_expires_at, *order), [[_c.secret_expires_at < wanted.secret_expires_before]]
            groups[0] += [_c.rejected_at.is_not(None)] if wanted.rejected else []
        elif wanted.rejected:
            groups = [[_c.rejected_at.is_not(None)]]
        else:
            groups = [[_c.rejected_at.is_not(None)], [_c.rejected_at.is_(None)]]
        scopes, narrow = self._scopes(known, wanted.scope), self._narrowed(wanted)
        parts = [[select(*order).where(scope, *group, *narrow) for scope in scopes] for group in groups]
        if not scopes:
            return [], 0
        keys, total = await keys_in_groups(self.unit.connection, parts, limit=limit, offset=offset)
        found = await self.by_ids([key.id for key in keys])
        return [found[key.id] for key in keys if key.id in found], total

    def _scopes(self, known: KnownScopes, scope: AuthClientScope | None) -> Sequence[ColumnElement[bool]]:
        """Return conditions of which each is about one owner: the tenant, and the installation."""
        found = []
        if known.everyones and scope in (None, "global"):
            found.append(_c.tenant_id == INSTALLATION)
        if self.unit.tenant_id == INSTALLATION or scope == "global":
            return found
        of_tenant = and_(_c.contract_id.is_(None), _c.workspace_id.is_(None))
        within = select(workspaces.c.id).where(
            workspaces.c.tenant_id == self.unit.tenant_id, workspaces.c.contract_id.in_(known.workspaces_of)
        )
        by_scope: Mapping[AuthClientScope, Sequence[ColumnElement[bool]]] = {
            "tenant": [of_tenant] if known.tenants else [],
            "contract": [
                *([_c.contract_id.is_not(None)] if known.all_contracts else []),
                *([_c.contract_id.in_(known.contract_ids)] if known.contract_ids else []),
            ],
            "workspace": [
                *([_c.workspace_id.is_not(None)] if known.all_workspaces else []),
                *([_c.workspace_id.in_(within)] if known.workspaces_of else []),
                *([_c.workspace_id.in_(known.workspace_ids)] if known.workspace_ids else []),
            ],
        }
        everything = known.tenants and known.all_contracts and known.all_workspaces
        if everything and scope is None:
            return [*found, self.mine]
        chosen = by_scope[scope] if scope is not None else [each for some in by_scope.values() for each in some]
        return [*found, and_(self.mine, or_(false(), *chosen))] if chosen else found

    def _narrowed(self, wanted: AuthClientFilter) -> Sequence[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if wanted.search:
            named = _c.name_key.contains(search_key(wanted.search), autoescape=True)
            found.append(or_(named, _c.id == wanted.search))
        if wanted.type:
            found.append(_c.type == wanted.type)
        if wanted.component_id is not None:
            linked = select(_l.auth_client_id).where(_l.component_id == wanted.component_id)
            found.append(_c.id.in_(linked))
        return found or [true()]

    async def by_ids(self, auth_client_ids: Sequence[str]) -> Mapping[str, ListedAuthClient]:
        """Return those of some clients that are the tenant's or global, by id."""
        return {
            row.id: ListedAuthClient(
                row.id,
                row.tenant_id,
                row.contract_id,
                row.workspace_id,
                row.place_name,
                row.name,
                row.type,
                row.components,
                row.rejected_at,
                row.rejection,
                row.secret_expires_at,
            )
            for row in await self.ask(_BY_IDS, ids=auth_client_ids)
        }
