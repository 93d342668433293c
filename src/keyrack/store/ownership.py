"""Finds a user's memberships and what the user owns, for a deletion (contract section 11)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, union

from keyrack.store import schema as t
from keyrack.store.core.unit import TenantTable
from keyrack.store.directory import Location


class Ownership(TenantTable):
    """What belongs to a user of the unit's tenant, workspace by workspace."""

    table = t.workspaces

    async def places(self, user_id: str) -> Sequence[Location]:
        """List the workspaces in which a user is a member, or owns a flow, a version of one, a credential or a secret.

        Those who left a workspace may still own something there.
        """
        f, v = t.flows.c, t.flow_versions.c
        owned: tuple[Select[Any], ...] = (
            select(t.workspace_members.c.workspace_id).where(t.workspace_members.c.user_id == user_id),
            select(f.workspace_id).where(f.user_id == user_id),
            select(f.workspace_id).join_from(t.flow_versions, t.flows, v.flow_id == f.id).where(v.user_id == user_id),
            select(t.credentials.c.workspace_id).where(t.credentials.c.user_id == user_id),
            select(t.auth_secrets.c.workspace_id).where(t.auth_secrets.c.user_id == user_id),
        )
        w = t.workspaces.c
        query = self.select(w.tenant_id, w.contract_id, w.id).where(w.id.in_(union(*owned).subquery().select()))
        return [Location(*row) for row in await self.all(query.order_by(w.contract_id, w.id))]

    async def pass_on(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's flows, their versions, credentials and secrets in a workspace to another user.

        Versions must name a user who exists; who really made one is in the audit log.
        """
        mine = self.unit.tenant_id
        for table in (t.flows, t.credentials, t.auth_secrets):
            own = (table.c.tenant_id == mine, table.c.workspace_id == workspace_id, table.c.user_id == user_id)
            await self.run(table.update().where(*own).values(user_id=successor))
        here = select(t.flows.c.id).where(t.flows.c.tenant_id == mine, t.flows.c.workspace_id == workspace_id)
        v = t.flow_versions.c
        own = (v.tenant_id == mine, v.user_id == user_id, v.flow_id.in_(here))
        await self.run(t.flow_versions.update().where(*own).values(user_id=successor))
