"""Finds a user's memberships and what the user owns, for a deletion (contract section 11)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select, union, update

from keyrack.store import schema as t
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery, TenantTable
from keyrack.store.directory import Location
from keyrack.store.schema.base import Id

_USER: ColumnElement[str] = bindparam("user", type_=Id)


def _places() -> TenantQuery:
    f, v, w = t.flows.c, t.flow_versions.c, t.workspaces.c
    owned: tuple[Select[Any], ...] = (
        select(t.workspace_members.c.workspace_id).where(t.workspace_members.c.user_id == _USER),
        select(f.workspace_id).where(f.user_id == _USER),
        select(f.workspace_id).join_from(t.flow_versions, t.flows, v.flow_id == f.id).where(v.user_id == _USER),
        select(t.credentials.c.workspace_id).where(t.credentials.c.user_id == _USER),
        select(t.auth_secrets.c.workspace_id).where(t.auth_secrets.c.user_id == _USER),
    )
    query = select(w.tenant_id, w.contract_id, w.id).where(w.id.in_(union(*owned).subquery().select()))
    return TenantQuery(t.workspaces, query.order_by(w.contract_id, w.id), scans=True)


def _passing_on() -> Sequence[TenantChange]:
    """Return the changes of all that has an owner; the last one is of flows' versions."""
    f, v = t.flows.c, t.flow_versions.c
    made = []
    for table in (t.flows, t.credentials, t.auth_secrets):
        own = (table.c.workspace_id == bindparam("workspace"), table.c.user_id == _USER)
        made.append(TenantChange(table, update(table).where(*own).values(user_id=bindparam("successor")), scans=True))
    here = select(f.id).where(f.tenant_id == TENANT, f.workspace_id == bindparam("workspace"))
    of_versions = update(t.flow_versions).where(v.user_id == _USER, v.flow_id.in_(here))
    return [*made, TenantChange(t.flow_versions, of_versions.values(user_id=bindparam("successor")), scans=True)]


_PLACES = _places()
_PASSING_ON = _passing_on()


class Ownership(TenantTable):
    """What belongs to a user of the unit's tenant, workspace by workspace."""

    table = t.workspaces

    async def places(self, user_id: str) -> Sequence[Location]:
        """List the workspaces in which a user is a member, or owns a flow, a version of one, a credential or a secret.

        Those who left a workspace may still own something there.
        """
        return [Location(*row) for row in await self.ask(_PLACES, user=user_id)]

    async def pass_on(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's flows, their versions, credentials and secrets in a workspace to another user.

        Versions must name a user who exists; who really made one is in the audit log.
        """
        for change in _PASSING_ON:
            await self.make(change, workspace=workspace_id, user=user_id, successor=successor)
