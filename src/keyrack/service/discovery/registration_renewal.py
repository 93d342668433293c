"""Renews the secrets of registered auth clients before they end (RFC 7592)."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access import ALLOWED
from keyrack.service.clients import auth_client_credentials as credentials_of
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.service.clients.secret_expiry import expiry_of
from keyrack.service.discovery.client_registrar import ClientRegistrar
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.expiring_clients import EndingSecrets
from keyrack.store.tenants import TenantRows

log = structlog.get_logger()

WORKER = Principal(PrincipalKind.system, "", "registration")
WITHIN = timedelta(days=7)
"""How long before its end a secret is renewed."""
_AGAIN, _SOONEST = 6 * 3600.0, 60.0
"""Seconds after which a client is tried again at the latest, and at the earliest."""
_AT_ONCE = 5


class RegistrationRenewals:
    """Asks servers for new secrets.

    Two workers may ask for the same client: the server has the last word, and whoever holds the client's registration
    access token as it is stored then stores what came. What a server does not renew is reminded of (decision 27).

    Args:
        store: where the clients are.
        registrar: asks the servers.
        lead: how long before its expiry a token is due, for secrets that a rejected client held up.
        timer: seconds that only go forward.
    """

    def __init__(
        self,
        store: Store,
        registrar: ClientRegistrar,
        lead: timedelta,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._lead = lead
        self._timer = timer
        self._not_before: dict[str, float] = {}

    async def tick(self) -> int:
        """Renew a few of the secrets that end soon; return how many were.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        async with self._store.installation() as unit:
            ending = [each async for each in EndingSecrets(unit).auth_clients(WITHIN)]
        now = self._timer()
        known = {name for _, name in ending}
        self._not_before = {name: at for name, at in self._not_before.items() if name in known}
        due = [(owner, name) for owner, name in ending if self._not_before.get(name, now) <= now]
        return sum(await self._renew_all(_in_turn(due)[:_AT_ONCE]))

    async def _renew_all(self, due: Sequence[tuple[str, str]]) -> Sequence[bool]:
        return [await self._renew(owner, name) for owner, name in due]

    async def _renew(self, tenant_id: str, auth_client_id: str) -> bool:
        self._not_before[auth_client_id] = self._timer() + _AGAIN
        try:
            async with self._store.unit(tenant_id) as unit:
                client = await AuthClientRows(unit).find(auth_client_id)
            if client is None or client.expiry.at is None or not _is_managed(client):
                return False
            left = (client.expiry.at - self._store.clock()).total_seconds()
            self._not_before[auth_client_id] = self._timer() + min(_AGAIN, max(_SOONEST, left / 2))
            members, ends = await self._registrar.renew(client.credentials, tenant_id=tenant_id)
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            log.info("a registered client's secret was not renewed", auth_client=auth_client_id, reason=str(error))
            return False
        return await self._keep(client, {**client.credentials, **members}, ends)

    async def _keep(self, before: AuthClient, credentials: dict[str, object], ends: datetime | None) -> bool:
        """Store what came, unless the client was changed meanwhile; tell whether its secret is another one now."""
        async with self._store.unit(before.tenant_id, writes=True) as unit:
            if before.tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                return False
            await AuthClientRows(unit).lock_to_change(before.id)
            stored = await AuthClientRows(unit).find(before.id)
            if stored is None or _token_of(stored) != _token_of(before):
                return False
            expiry = stored.expiry if stored.expiry.at == ends else expiry_of(ends, unit.clock())
            client = replace(stored, credentials={**stored.credentials, **_changed(before, credentials)}, expiry=expiry)
            renewed = client.credentials.get("client_secret") != stored.credentials.get("client_secret")
            origin = credentials_of.refresh_origin(client.type, client.credentials)
            await AuthClientRows(unit).replace(client, origin, forgive=renewed)
            if renewed:
                await AuthClientHealth(unit).revive(client.id, self._lead)
                await AuditLog(unit).append(WORKER, "auth-client.renew-secret", ("auth-client", client.id), ALLOWED)
            return renewed


def _in_turn(due: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return clients in an order in which no tenant's wait behind many of another."""
    before, turns = Counter[str](), list[tuple[int, str, str]]()
    for owner, name in due:
        turns.append((before[owner], owner, name))
        before[owner] += 1
    return [(owner, name) for _, owner, name in sorted(turns, key=lambda each: each[0])]


def _is_managed(client: AuthClient) -> bool:
    """Tell whether a client's registration can be read and changed: whoever made the client may say anything of it."""
    members = (REGISTRATION_CLIENT_URI, REGISTRATION_ACCESS_TOKEN)
    return is_oauth2(client.type) and all(client.credentials.get(name) for name in members)


def _token_of(client: AuthClient) -> object:
    return client.credentials.get(REGISTRATION_ACCESS_TOKEN)


def _changed(before: AuthClient, after: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in after.items() if before.credentials.get(name) != value}
