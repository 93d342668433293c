"""Stores which of a client's two live secrets is used, by itself: what providers answered decides (decision 47).

Every change is made under the client's lock, and only where the rotation is still as whoever wants it has seen it. It
is a change of the client like one by hand: what was refused before no longer counts, and connections that waited for
the client go on.
"""

from datetime import timedelta

import structlog

from keyrack import metrics
from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.rotations import RotationState
from keyrack.service.authz.access import ALLOWED
from keyrack.service.clients import auth_client_credentials as credentials_of
from keyrack.service.clients.live_secrets import (
    after_other_worked,
    next_try,
    secret_in_use,
    swapped_auth_client,
    swapped_oauth_client,
)
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_rotations import AuthClientRotations, OAuthClientRotations
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.tenants import TenantRows

log = structlog.get_logger()

WORKER = Principal(PrincipalKind.system, "", "secret-rotation")
_ACTIONS = {
    RotationState.trying: "try-secret",
    RotationState.promoted: "promote-secret",
    RotationState.rolled_back: "roll-back-secret",
}


class SecretSwaps:
    """Swaps the secrets of clients.

    Args:
        store: where the clients are.
        lead: how long before its expiry a token is due, for connections that a refused client held up.
        retires_after: how long an old secret is kept beside the new one.
    """

    def __init__(self, store: Store, lead: timedelta, retires_after: timedelta) -> None:
        self._store = store
        self._lead = lead
        self._retires_after = retires_after

    async def other_worked(self, tenant_id: str, seen: AuthClient, working: str) -> None:
        """Use the secret of an auth client that a provider took, after it had refused the one in use.

        Args:
            tenant_id: whose request it was; of a global client, any tenant.
            seen: the client, with the secret in use as it was then.
            working: the secret that was taken.
        """
        if seen.rotation is None:
            return
        async with self._store.unit(tenant_id, writes=True) as unit:
            if tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                return
            own = unit.of_tenant(seen.tenant_id)
            client = await _locked(own, seen.id)
            if client is None or client.rotation is None or client.second_secret is None:
                return
            if client.second_secret.reveal() != working or client.rotation.began_at != seen.rotation.began_at:
                return
            await self.use_other(own, client, after_other_worked(client.rotation), WORKER)

    async def use_other(self, unit: Unit, client: AuthClient, state: RotationState, who: Principal) -> AuthClient:
        """Let an auth client use its other secret, in a transaction that has locked it.

        Args:
            unit: of the client's owner.
            client: as it is stored.
            state: what its rotation is in then.
            who: wants it, for the audit log.
        """
        now = unit.clock()
        fresh, other, rotation = swapped_auth_client(client, state, now, self._retires_after)
        await AuthClientRows(unit).replace(fresh, credentials_of.refresh_origin(client.type, fresh.credentials))
        due_at = rotation.retires_at or next_try(rotation, now)
        await AuthClientRotations(unit).store_rotation(client.id, other, rotation, due_at)
        await AuthClientHealth(unit).revive(client.id, self._lead)
        await self._told(unit, "auth-client", client.id, state, who)
        return await _again(unit, client.id)

    async def use_other_of_oauth_client(
        self, unit: Unit, client: OAuthClient, state: RotationState, who: Principal
    ) -> OAuthClient:
        """As `use_other`, of a tenant's OAuth client."""
        now = unit.clock()
        fresh, other, rotation = swapped_oauth_client(client, state, now, self._retires_after)
        await OAuthClientRows(unit).replace(fresh)
        due_at = rotation.retires_at or next_try(rotation, now)
        await OAuthClientRotations(unit).store_rotation(client.id, other, rotation, due_at)
        await self._told(unit, "oauth-client", client.id, state, who)
        return await OAuthClientRows(unit).find(client.id) or fresh

    async def _told(self, unit: Unit, kind: str, client_id: str, state: RotationState, who: Principal) -> None:
        """Write down what happened by itself; what a caller did, its operation writes down."""
        metrics.secret_rotated(state.value)
        if who == WORKER:
            await AuditLog(unit).append(who, f"{kind}.{_ACTIONS[state]}", (kind, client_id), ALLOWED)
            log.info("the secret of a client was exchanged", kind=kind, client=client_id, state=state.value)


def has_other(client: AuthClient, used: set[str]) -> Secret | None:
    """Return a live secret of an auth client that is not among some; None: there is none."""
    live = [Secret(secret_in_use(client)), client.second_secret]
    return next((each for each in live if each is not None and each.reveal() not in used), None)


async def _locked(unit: Unit, client_id: str) -> AuthClient | None:
    await AuthClientRows(unit).lock_to_change(client_id)
    return await AuthClientRows(unit).find(client_id)


async def _again(unit: Unit, client_id: str) -> AuthClient:
    client = await AuthClientRows(unit).find(client_id)
    if client is None:
        raise LookupError(client_id)
    return client
