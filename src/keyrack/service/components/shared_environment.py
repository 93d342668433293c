"""Selects the owner's environment variables that another tenant may have (contract 0.8, 18.1)."""

from collections.abc import Mapping

from keyrack.descriptor.link import shared_env
from keyrack.descriptor.model import Descriptor
from keyrack.model.components import Component
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.component_variables import ComponentEnvironment
from keyrack.store.core.unit import Unit


async def visible_environment(unit: Unit, component: Component, descriptor: Descriptor | None) -> Mapping[str, str]:
    """Return the variables of a component that executions of the unit's tenant may see.

    The owning tenant sees all. Every other tenant sees those that occur in no `client_id`, `client_secret`,
    `consumer_key` or `consumer_secret` template of any build; without a build there is no telling, so it sees none.
    This is the only place where one tenant's values reach another, on purpose.

    Args:
        unit: of the tenant where the component is going to run.
        component: the component.
        descriptor: that of its latest build, if there is one.
    """
    owner = unit.of_tenant(component.tenant_id)
    variables = await ComponentEnvironment(owner).read(component.id)
    if component.tenant_id == unit.tenant_id or not variables:
        return variables
    if descriptor is None:
        return {}
    return shared_env(descriptor, variables, await ComponentVersions(owner).protocol_blocks(component.id))
