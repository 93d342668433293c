"""Builds the environment that a component finds when a step starts (contract 18.1, extension 0.3 and 0.16)."""

from keyrack.descriptor.link import ClientKeys, oauth_client_variables
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import NotFound, OAuthClientMissing, RelatedNotFound
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.authz.freezing import require_component_thawed
from keyrack.service.components.shared_environment import visible_environment
from keyrack.service.components.visibility import workspace_component
from keyrack.store.oauth_clients import OAuthClientRows

_PERMISSION = "global.runtime_env.get"


class RuntimeEnvironments:
    """For the platform's runner."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, who: Principal, workspace_id: str, component_id: str) -> dict[str, str]:
        """Return the component and OAuth client variables of a component in a workspace.

        The owner's variables come first, as far as this tenant may have them; those of the tenant's own OAuth client
        win. A task user never gets here: any step of a flow holds the task user's key (0.3).

        Raises:
            Forbidden: the caller is no service account with `global.runtime_env.get`.
            NotFound: the workspace does not have the component.
            OAuthClientMissing: it waits for the tenant's OAuth client.
            FrozenError: the operator has frozen the tenant, or its OAuth client for the component.
        """
        async with self._access.workspace(who, workspace_id, "runtime-env.read") as scope:
            scope.require_that(who.tenant_id is None, "only a service account can read a runtime environment")
            scope.require(_PERMISSION)
            try:
                component = await workspace_component(scope, component_id)
            except RelatedNotFound:
                raise NotFound("the workspace has no such component") from None
            except OAuthClientMissing as missing:
                raise OAuthClientMissing(str(missing)) from None  # a GET has no body to point into
            scope.audit_target("component", component_id)
            await require_component_thawed(scope.unit, scope.unit.tenant_id, component_id)
            if component.latest is None:
                return dict(await visible_environment(scope.unit, component, None))
            descriptor = parse_descriptor(component.latest.descriptor)
            variables = dict(await visible_environment(scope.unit, component, descriptor))
            clients = OAuthClientRows(scope.unit)
            client = await clients.for_component(component_id) if descriptor.use_oauth_client else None
            if client is not None:
                keys = ClientKeys(client.client_id, client.client_secret)
                variables |= oauth_client_variables(descriptor, keys)
                await clients.touch(client.id)
            return variables
