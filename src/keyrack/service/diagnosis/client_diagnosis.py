"""Diagnoses clients for those who may read them with their credentials (decision 37)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from keyrack.errors import Forbidden, NotFound, RateLimited, StateConflict
from keyrack.model.clients import is_oauth2
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import GLOBAL, auth_client_permissions
from keyrack.service.clients.auth_client_reading import found_client, hidden_client, located_client
from keyrack.service.diagnosis.examination import Diagnosis, Examiner
from keyrack.service.diagnosis.subject import Subject, auth_client_subject, oauth_client_subject
from keyrack.store.directory import Location
from keyrack.store.oauth_clients import OAuthClientRows

_EACH_MINUTE = 6
_AT_ONCE = 2
"""Diagnoses of one tenant that run at a time."""
_MINUTE = 60.0
_MOST_CALLERS = 10_000


class DiagnosisTurns:
    """Bounds how many diagnoses a caller makes, and a tenant has running: each makes a dozen calls to a provider.

    Counts within a process.

    Args:
        timer: monotonic seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._made: OrderedDict[str, list[float]] = OrderedDict()
        self._running: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    def take(self, caller: str) -> None:
        """Count a diagnosis.

        Raises:
            RateLimited: the caller made six within the last minute.
        """
        now = self._timer()
        recent = [at for at in self._made.get(caller, []) if at > now - _MINUTE]
        if len(recent) >= _EACH_MINUTE:
            wait = max(1, round(recent[0] + _MINUTE - now))
            raise RateLimited(wait, f"A caller can have {_EACH_MINUTE} diagnoses a minute.")
        self._made[caller] = [*recent, now]
        self._made.move_to_end(caller)
        if len(self._made) > _MOST_CALLERS:
            self._made.popitem(last=False)

    @asynccontextmanager
    async def turn(self, tenant_id: str) -> AsyncIterator[None]:
        """Wait behind the tenant's other diagnoses."""
        gate = self._running.setdefault(tenant_id, asyncio.Semaphore(_AT_ONCE))
        self._users[tenant_id] = self._users.get(tenant_id, 0) + 1
        try:
            async with gate:
                yield
        finally:
            self._users[tenant_id] -= 1
            if not self._users[tenant_id]:
                del self._users[tenant_id], self._running[tenant_id]


class ClientDiagnoses:
    """Use cases. They change nothing here or at the provider; that they were made is in the audit log.

    Args:
        access: the way into every operation.
        examiner: examines.
        public_url: the setting of this name.
        allow_insecure: accept http URLs and private addresses.
    """

    def __init__(self, access: Access, examiner: Examiner, public_url: str | None, *, allow_insecure: bool) -> None:
        self._access = access
        self._examiner = examiner
        self._public_url = public_url
        self._allow_insecure = allow_insecure
        self._turns = DiagnosisTurns()

    async def of_auth_client(self, who: Principal, auth_client_id: str) -> Diagnosis:
        """Diagnose an auth client, for who sees its credentials at its own scope.

        Raises:
            NotFound: there is none, or the caller knows of none.
            Forbidden: the caller does not see its credentials.
            StateConflict: it is not of an oauth2 type.
            RateLimited: the caller made too many diagnoses.
        """
        place = await located_client(self._access, who, auth_client_id, "auth-client.diagnose")
        async with self._entered(who, place) as scope:
            reach = await auth_client_permissions(scope)
            if not reach.knows(place):
                raise hidden_client(self._access, who, place, auth_client_id, "auth-client.diagnose")
            if not reach.shows_keys(place):
                raise Forbidden("this needs the permission global.auth_clients.get, held at the auth client's scope")
            client = await found_client(scope, auth_client_id)
            if not is_oauth2(client.type):
                raise StateConflict("the auth client is not of an oauth2 type, so that there is nothing to ask")
            self._turns.take(who.id)
            subject = await auth_client_subject(scope, client, self._public_url, allow_insecure=self._allow_insecure)
            scope.audit_target("auth-client", client.id)
        return await self._examined(subject, who)

    async def of_oauth_client(self, who: Principal, tenant_id: str, oauth_client_id: str) -> Diagnosis:
        """Diagnose a tenant's OAuth client.

        Raises:
            NotFound: the tenant has no such client.
            Forbidden: the caller may not get the tenant's clients.
            RateLimited: the caller made too many diagnoses.
        """
        async with self._access.tenant(who, tenant_id, "oauth-client.diagnose") as scope:
            scope.require("tenants.oauth_clients.get")
            client = await OAuthClientRows(scope.unit).find(oauth_client_id)
            if client is None:
                raise NotFound("there is no such OAuth client in this tenant")
            self._turns.take(who.id)
            subject = await oauth_client_subject(scope, client, self._public_url, allow_insecure=self._allow_insecure)
            scope.audit_target("oauth-client", client.id)
        return await self._examined(subject, who)

    def _entered(self, who: Principal, place: Location) -> AbstractAsyncContextManager[Scope]:
        if place == GLOBAL:
            return self._access.installation(who, "auth-client.diagnose")
        return self._access.at(who, place, "auth-client.diagnose")

    async def _examined(self, subject: Subject, who: Principal) -> Diagnosis:
        async with self._turns.turn(who.tenant_id or ""):
            return await self._examiner.examine(subject)
