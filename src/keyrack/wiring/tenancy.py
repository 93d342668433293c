"""Builds the use cases about tenants, what is in them, and the components and flows that run there."""

from dataclasses import dataclass

from keyrack.service.clients.deletion_window import end_clients_of_tenant
from keyrack.service.components.builds import ComponentBuilds
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.components.components import Components
from keyrack.service.components.environments import ComponentEnvironments
from keyrack.service.components.runtime import RuntimeEnvironments
from keyrack.service.components.visibility import ComponentVisibility
from keyrack.service.flows.flows import Flows
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.members import Members
from keyrack.service.tenancy.roles import Roles
from keyrack.service.tenancy.teams import Teams
from keyrack.service.tenancy.tenants import Tenants
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class TenancyServices:
    """The use cases about tenants and what is in them."""

    tenants: Tenants
    roles: Roles
    contracts: Contracts
    workspaces: Workspaces
    teams: Teams
    members: Members
    place_deletion: PlaceDeletion
    components: Components
    builds: ComponentBuilds
    environments: ComponentEnvironments
    runtime: RuntimeEnvironments
    client_needs: ClientNeeds
    flows: Flows


def build_tenancy(shared: Shared) -> TenancyServices:
    """Build them."""
    access = shared.access
    visible_components = ComponentVisibility(access)
    return TenancyServices(
        tenants=Tenants(access, end_clients_of_tenant, shared.store.keyring),
        roles=Roles(access),
        contracts=Contracts(access),
        workspaces=Workspaces(access),
        teams=Teams(access),
        members=Members(access),
        place_deletion=PlaceDeletion(access),
        components=Components(access, visible_components),
        builds=ComponentBuilds(visible_components),
        environments=ComponentEnvironments(visible_components),
        runtime=RuntimeEnvironments(access),
        client_needs=ClientNeeds(access),
        flows=Flows(access),
    )
