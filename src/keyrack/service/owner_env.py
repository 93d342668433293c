"""The component owner's environment variables, as far as a tenant may have them (contract 0.8, 18.1)."""

from collections.abc import Mapping

from keyrack.descriptor.link import shared_env
from keyrack.descriptor.model import Descriptor
from keyrack.model import Component
from keyrack.store.components import ComponentEnvironment
from keyrack.store.unit import Unit


async def visible_environment(unit: Unit, component: Component, descriptor: Descriptor) -> Mapping[str, str]:
    """Return the variables of a component that executions of the unit's tenant may see.

    The owning tenant sees all. Every other tenant sees those that occur in no `client_id`, `client_secret`,
    `consumer_key` or `consumer_secret` template: the only place where one tenant's values reach another, on purpose.
    """
    variables = await ComponentEnvironment(unit.of(component.tenant_id)).read(component.id)
    return variables if component.tenant_id == unit.tenant_id else shared_env(descriptor, variables)
