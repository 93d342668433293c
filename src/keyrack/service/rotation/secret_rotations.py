"""Use cases of secret rotations: begin, read, move on by hand, end; of auth clients and of OAuth clients."""

from keyrack.errors import NotFound
from keyrack.model.clients import OAuthClient
from keyrack.model.identity import Principal
from keyrack.model.rotations import RotationState, SecretRotation
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_changing import changed_at_its_scope
from keyrack.service.clients.auth_client_reading import seen_at_its_scope
from keyrack.service.rotation.steps import NewSecret, RotationSteps, no_rotation
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.validation.unvalidated import Unvalidated

_BEGIN, _MOVE, _END = "rotate-secret", "move-secret-rotation", "end-secret-rotation"


class SecretRotations:
    """Use cases. Who may change a client may rotate its secret; who may get it sees how the rotation stands."""

    def __init__(self, access: Access, steps: RotationSteps) -> None:
        self._access = access
        self._steps = steps

    async def begin_for_auth_client(
        self, who: Principal, auth_client_id: str, new: Unvalidated[NewSecret]
    ) -> SecretRotation:
        """Add a new secret to an auth client, beside the one in use.

        Raises:
            NotFound: there is no such client, or the caller cannot see it.
            Forbidden: the caller may not edit clients of its scope.
            ValidationFailed: the body is wrong.
            StateConflict: as `RotationSteps.begin`.
        """
        async with changed_at_its_scope(self._access, who, auth_client_id, "edit", f"auth-client.{_BEGIN}") as entered:
            scope, client = entered
            return await self._steps.begin(scope.unit, client, new.validated())

    async def of_auth_client(self, who: Principal, auth_client_id: str) -> SecretRotation:
        """Return how the rotation of an auth client's secret stands, for who may get it at its own scope.

        Raises:
            NotFound: there is no such client there, or its secret is not being rotated.
        """
        async with seen_at_its_scope(self._access, who, auth_client_id) as (_, _, client):
            if client.rotation is None:
                raise no_rotation()
            return client.rotation

    async def move_of_auth_client(
        self, who: Principal, auth_client_id: str, state: Unvalidated[RotationState]
    ) -> SecretRotation:
        """Use the new secret, use the old one, or try the new one again; raises as `begin_for_auth_client`."""
        async with changed_at_its_scope(self._access, who, auth_client_id, "edit", f"auth-client.{_MOVE}") as entered:
            scope, client = entered
            return await self._steps.move(scope.unit, client, state.validated(), who)

    async def end_of_auth_client(self, who: Principal, auth_client_id: str) -> None:
        """Forget the secret that is not used; raises as `begin_for_auth_client`."""
        async with changed_at_its_scope(self._access, who, auth_client_id, "edit", f"auth-client.{_END}") as entered:
            scope, client = entered
            await self._steps.end(scope.unit, client)

    async def begin_for_oauth_client(
        self, who: Principal, tenant_id: str, oauth_client_id: str, new: Unvalidated[NewSecret]
    ) -> SecretRotation:
        """Add a new secret to a tenant's OAuth client, beside the one in use.

        Raises:
            NotFound: the tenant has no such client.
            Forbidden: the caller may not edit the tenant's clients.
            ValidationFailed: the body is wrong.
            StateConflict: as `RotationSteps.begin`.
        """
        async with self._access.tenant(who, tenant_id, f"oauth-client.{_BEGIN}") as scope:
            client = await _locked(scope, oauth_client_id)
            return await self._steps.begin(scope.unit, client, new.validated())

    async def of_oauth_client(self, who: Principal, tenant_id: str, oauth_client_id: str) -> SecretRotation:
        """Return how the rotation of an OAuth client's secret stands.

        Raises:
            NotFound: the tenant has no such client, or its secret is not being rotated.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.oauth_clients.get")
            client = await OAuthClientRows(scope.unit).find(oauth_client_id)
            if client is None:
                raise _unknown()
            if client.rotation is None:
                raise no_rotation()
            return client.rotation

    async def move_of_oauth_client(
        self, who: Principal, tenant_id: str, oauth_client_id: str, state: Unvalidated[RotationState]
    ) -> SecretRotation:
        """Use the new secret, use the old one, or try the new one again; raises as `begin_for_oauth_client`."""
        async with self._access.tenant(who, tenant_id, f"oauth-client.{_MOVE}") as scope:
            client = await _locked(scope, oauth_client_id)
            return await self._steps.move(scope.unit, client, state.validated(), who)

    async def end_of_oauth_client(self, who: Principal, tenant_id: str, oauth_client_id: str) -> None:
        """Forget the secret that is not used; raises as `begin_for_oauth_client`."""
        async with self._access.tenant(who, tenant_id, f"oauth-client.{_END}") as scope:
            client = await _locked(scope, oauth_client_id)
            await self._steps.end(scope.unit, client)


async def _locked(scope: Scope, oauth_client_id: str) -> OAuthClient:
    scope.require("tenants.oauth_clients.edit")
    rows = OAuthClientRows(scope.unit)
    await rows.lock_to_change(oauth_client_id)
    client = await rows.find(oauth_client_id)
    if client is None:
        raise _unknown()
    scope.audit_target("oauth-client", client.id)
    return client


def _unknown() -> NotFound:
    return NotFound("there is no such OAuth client in this tenant")
