"""A component's environment variables, for its developers (contract section 13.4).

What other tenants' executions find of them is decided in `keyrack.service.components.shared_environment`.
"""

from collections.abc import Mapping

from keyrack.model.identity import Principal
from keyrack.service.components.visibility import ComponentVisibility, Developer
from keyrack.store.component_variables import ComponentEnvironment
from keyrack.validation.unvalidated import Unvalidated

_WHO: Developer = "editor or in the team"


class ComponentEnvironments:
    """Use cases of contract section 13.4."""

    def __init__(self, components: ComponentVisibility) -> None:
        self._components = components

    async def get(self, who: Principal, component_id: str) -> Mapping[str, str]:
        """Return a component's variables.

        Raises:
            NotFound: there is no component the caller can see.
            Forbidden: the caller is not of the owning team, contract or tenant administration.
        """
        async with self._components.owned(who, component_id, "component-env.read", _WHO) as (scope, _):
            scope.audit_target("component", component_id)
            return await ComponentEnvironment(scope.unit).read(component_id)

    async def replace(
        self, who: Principal, component_id: str, new: Unvalidated[Mapping[str, str]]
    ) -> Mapping[str, str]:
        """Replace the whole set of a component's variables; errors as `get`."""
        async with self._components.owned(who, component_id, "component-env.replace", _WHO) as (scope, _):
            variables = new.validated()
            await ComponentEnvironment(scope.unit).replace(component_id, variables)
            scope.audit_target("component", component_id)
            return variables
