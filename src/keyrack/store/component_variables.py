"""Environment variables of components, encrypted (contract 13.4)."""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select, update

from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import component_env

_e = component_env.c
_VARIABLES = TenantQuery(component_env, select(_e.sealed_vars).where(_e.component_id == bindparam("component")))
_WITH_VARIABLES = TenantQuery(
    component_env,
    select(_e.component_id)
    .where(_e.component_id > bindparam("after"))
    .order_by(_e.component_id)
    .limit(bindparam("most")),
    scans=True,
)
_VARIABLES_CHANGE = TenantChange(
    component_env,
    update(component_env).where(_e.component_id == bindparam("component")).values(sealed_vars=bindparam("sealed")),
)


class ComponentEnvironment(TenantTable):
    """Environment variables of the tenant's own components, encrypted (contract 13.4)."""

    table = component_env

    async def read(self, component_id: str) -> dict[str, str]:
        """Return a component's variables; none if they were never set or the component is another tenant's."""
        row = await self.ask_one(_VARIABLES, component=component_id)
        if row is None:
            return {}
        variables: dict[str, str] = await self.unit.open(component_env, component_id, "sealed_vars", row.sealed_vars)
        return variables

    async def having(self, after: str, limit: int) -> Sequence[str]:
        """List the ids of the tenant's components whose variables were set, from after one of them."""
        return [row.component_id for row in await self.ask(_WITH_VARIABLES, after=after, most=limit)]

    async def replace(self, component_id: str, variables: Mapping[str, str]) -> None:
        """Replace the whole set of a component's variables."""
        sealed = await self.unit.seal(component_env, component_id, "sealed_vars", dict(variables))
        if await self.make(_VARIABLES_CHANGE, component=component_id, sealed=sealed) == 0:
            await self.insert({"component_id": component_id, "sealed_vars": sealed})
