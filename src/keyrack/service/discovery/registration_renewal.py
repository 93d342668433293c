"""Renews the secrets of registered auth clients before they end (RFC 7592)."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import structlog

from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.oauth.wire import JsonRequest, QueryRequest, RawResponse
from keyrack.service.authz.access import ALLOWED
from keyrack.service.clients import auth_client_credentials as credentials_of
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.service.clients.secret_expiry import expiry_of
from keyrack.service.discovery.client_registrar import read_request, told, update_request
from keyrack.service.discovery.registration_journal import RegistrationJournal, land
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_rotations import AuthClientRotations
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
_TOKEN = "token"  # noqa: S105 - the name of a digest


class RegistrationRenewals:
    """Asks servers for new secrets.

    Two workers may ask for the same client: the server has the last word, and whoever holds the client's registration
    access token as it is stored then stores what came. What a server does not renew is reminded of (decision 27).

    Args:
        store: where the clients are.
        journal: asks the servers, so that no answer is lost.
        lead: how long before its expiry a token is due, for secrets that a rejected client held up.
        timer: seconds that only go forward.
    """

    def __init__(
        self,
        store: Store,
        journal: RegistrationJournal,
        lead: timedelta,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._journal = journal
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
            with self._journal.at_work(auth_client_id):
                read, renewed = await self._ask(client, read_request(client.credentials))
                if read is not None and not renewed:
                    _, renewed = await self._ask(read, update_request(read.credentials))
        except DatabaseUnavailable:
            raise
        except KeyrackError as error:
            log.info("a registered client's secret was not renewed", auth_client=auth_client_id, reason=str(error))
            return False
        return renewed

    async def recover(self, attempt: Attempt) -> bool:
        """Store what an answer brought that a crash kept from being stored, if there is one.

        Returns:
            Whether the attempt is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if self._journal.is_at_work(attempt.subject_id):
            return False
        async with self._store.unit(attempt.tenant_id) as unit:
            kept = await self._journal.read(unit, attempt.id)
            client = await AuthClientRows(unit).find(attempt.subject_id)
        if kept is None or client is None or kept[1].get(_TOKEN) != _digest(client):
            lost = AttemptResult.ambiguous if kept is None else AttemptResult.superseded
            await self._journal.settle(attempt.tenant_id, attempt.id, lost)
            return True
        try:
            await self._keep(client, attempt.id, kept[0])
        except DatabaseUnavailable:
            raise
        except KeyrackError:  # the server had refused
            pass
        return True

    async def _ask(self, client: AuthClient, request: QueryRequest | JsonRequest) -> tuple[AuthClient | None, bool]:
        """Send a request about a client's registration, and store what comes; see `_keep`."""
        about = {_TOKEN: _digest(client)}
        attempt_id, answer = await self._journal.exchange(
            AttemptKind.renew, client.tenant_id, client.id, request, about
        )
        return await self._keep(client, attempt_id, answer)

    async def _keep(
        self, before: AuthClient, attempt_id: str | None, answer: RawResponse
    ) -> tuple[AuthClient | None, bool]:
        """Store what came, unless the client was changed meanwhile.

        Returns:
            The client as it is now, None if nothing was stored, and whether its secret is another one now.

        Raises:
            ProviderError, ProviderUnavailable: the server refused, or could not do it.
        """
        try:
            members, ends = told(answer, before.credentials)
        except KeyrackError:
            await self._journal.settle(before.tenant_id, attempt_id, AttemptResult.refused)
            raise
        changes = _changed(before, members)
        async with self._store.unit(before.tenant_id, writes=True) as unit:
            if before.tenant_id != INSTALLATION and not await TenantRows(unit).hold():
                return None, False
            await AuthClientRows(unit).lock_to_change(before.id)
            stored = await AuthClientRows(unit).find(before.id)
            if stored is None or _digest(stored) != _digest(before):
                await self._journal.settle_in(unit, attempt_id, AttemptResult.superseded)
                return None, False
            await land(unit, attempt_id)
            expiry = stored.expiry if stored.expiry.at == ends else expiry_of(ends, unit.clock())
            client = replace(stored, credentials={**stored.credentials, **changes}, expiry=expiry)
            renewed = client.credentials.get("client_secret") != stored.credentials.get("client_secret")
            origin = credentials_of.refresh_origin(client.type, client.credentials)
            await AuthClientRows(unit).replace(client, origin, forgive=renewed)
            if renewed:
                if stored.rotation is not None:
                    await AuthClientRotations(unit).end_rotation(client.id)
                await AuthClientHealth(unit).revive(client.id, self._lead)
                await AuditLog(unit).append(WORKER, "auth-client.renew-secret", ("auth-client", client.id), ALLOWED)
            return client, renewed


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


def _digest(client: AuthClient) -> str:
    """Return what tells with which registration access token a server was asked, without telling the token."""
    return sha256(str(client.credentials.get(REGISTRATION_ACCESS_TOKEN)).encode()).hexdigest()


def _changed(before: AuthClient, after: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in after.items() if before.credentials.get(name) != value}
