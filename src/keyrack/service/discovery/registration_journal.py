"""Sends what registers clients and renews registrations so that no answer is lost, and settles what a crash left.

As with tokens (`secrets.refresh.journal`): the intent is written before a request is sent, the answer is sealed and
stored before anybody interprets it, and what comes of it is stored in the transaction that ends the attempt. Of a
global client nothing is written down: the journal is the tenants' (decision 42).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from keyrack.clock import Clock
from keyrack.errors import KeyrackError, ProviderUnavailable, StateConflict
from keyrack.ids import new_id
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.dynamic_registration import Registration, process_registration
from keyrack.oauth.wire import JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.clients.auth_client_credentials import REGISTRATION_ACCESS_TOKEN, REGISTRATION_CLIENT_URI
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.journal import Journal, nothing_to_check
from keyrack.service.secrets.refresh.outcome import is_ambiguous
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.revocations import Revocations, Subject
from keyrack.store.tenants import TenantRows

log = structlog.get_logger()

_ENDPOINT = "registration_endpoint"


class RegistrationJournal:
    """Sends requests about registrations.

    Args:
        store: where attempts are.
        provider: calls authorization servers.
        journal: writes down what is sent and what comes back.
        clock: the time.
        allow_insecure: accept http addresses and private ones.
    """

    def __init__(
        self, store: Store, provider: ProviderClient, journal: Journal, clock: Clock, *, allow_insecure: bool
    ) -> None:
        self._store = store
        self._provider = provider
        self._journal = journal
        self._clock = clock
        self._allow_insecure = allow_insecure
        self._at_work: set[str] = set()

    @contextmanager
    def at_work(self, auth_client_id: str) -> Iterator[None]:
        """Note that this process is in the middle of a client's registration, so that recovery leaves it alone."""
        self._at_work.add(auth_client_id)
        try:
            yield
        finally:
            self._at_work.discard(auth_client_id)

    def is_at_work(self, auth_client_id: str) -> bool:
        """Tell whether this process is in the middle of a client's registration."""
        return auth_client_id in self._at_work

    async def exchange(
        self,
        kind: AttemptKind,
        tenant_id: str,
        auth_client_id: str,
        request: JsonRequest | QueryRequest,
        about: Mapping[str, str],
    ) -> tuple[str | None, RawResponse]:
        """Send a request; return the id of the attempt, which is open, and the answer, which is stored.

        Args:
            kind: `register` or `renew`.
            tenant_id: whose client it is.
            auth_client_id: the client, also one that is only to be made.
            request: what is sent.
            about: what else is needed to judge the answer later.

        Returns:
            The attempt's id is None for a global client.

        Raises:
            KeyrackError: as `Journal.exchange`; the attempt is over then.
        """
        if tenant_id == INSTALLATION:
            return None, await send(self._provider, request, tenant_id=tenant_id)
        attempt = Attempt(new_id(), tenant_id, kind, auth_client_id, 0, 0, node_id(), self._clock())
        try:
            return attempt.id, await self._journal.exchange(attempt, request, nothing_to_check, about)
        except ProviderUnavailable as error:
            result = AttemptResult.ambiguous if is_ambiguous(error) else AttemptResult.unsent
            await self.settle(tenant_id, attempt.id, result)
            raise

    async def register(
        self, tenant_id: str, auth_client_id: str, endpoint: str, request: JsonRequest
    ) -> tuple[str | None, RawResponse]:
        """Send a registration, as `exchange`; what it makes is deleted again unless the attempt lands."""
        return await self.exchange(AttemptKind.register, tenant_id, auth_client_id, request, {_ENDPOINT: endpoint})

    async def settle(self, tenant_id: str, attempt_id: str | None, result: AttemptResult) -> None:
        """Note what became of an attempt that brought nothing; None: nothing was written down."""
        if attempt_id is not None:
            async with self._store.unit(tenant_id, writes=True) as unit:
                await self.settle_in(unit, attempt_id, result)

    async def settle_in(self, unit: Unit, attempt_id: str | None, result: AttemptResult) -> None:
        """As `settle`, in a transaction that there is."""
        if attempt_id is not None:
            await Attempts(unit).settle(attempt_id, result)

    async def read(self, unit: Unit, attempt_id: str) -> tuple[RawResponse, Mapping[str, str]] | None:
        """Return the answer of an open attempt, and what was kept beside; None: it is open no more, or has none."""
        kept = await Attempts(unit).find(attempt_id)
        return None if kept is None else await self._journal.read_with(unit, kept)

    def manages(self, made: Registration, endpoint: str) -> bool:
        """Tell whether a registration can be managed: its address is a part of the server that was asked.

        The token of a registration goes there, and an address is only a text in an answer.
        """
        if not made.uri:
            return False
        try:
            check_uri(made.uri, allow_insecure=self._allow_insecure)
        except KeyrackError:
            return False
        return origin_of(made.uri) == origin_of(endpoint)

    async def recover(self, attempt: Attempt) -> bool:
        """Settle a registration whose client was never stored: have it deleted, if its answer is there.

        Returns:
            Whether it is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if self.is_at_work(attempt.subject_id):
            return False
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold():
                return True
            kept = await self.read(unit, attempt.id)
            order = None if kept is None else self._order(*kept)
            result = AttemptResult.ambiguous if kept is None else AttemptResult.superseded
            if await Attempts(unit).settle(attempt.id, result) and order is not None:
                await Revocations(unit).add(Subject("", "", attempt.subject_id), order)
            log.info(
                "a registration was interrupted",
                auth_client=attempt.subject_id,
                answered=kept is not None,
                is_deleted=order is not None,
            )
        return True

    def _order(self, answer: RawResponse, about: Mapping[str, str]) -> dict[str, str] | None:
        """Return with what a registration is deleted; None if it is none, or cannot be."""
        try:
            made = process_registration(answer, default=TokenEndpointAuthMethod.NONE)
        except KeyrackError:
            return None
        if not self.manages(made, about.get(_ENDPOINT, "")):
            return None
        return {REGISTRATION_CLIENT_URI: made.uri, REGISTRATION_ACCESS_TOKEN: made.access_token.reveal()}


async def land(unit: Unit, attempt_id: str | None) -> None:
    """End a registration's attempt in the transaction that stores its client; None: nothing was written down.

    Raises:
        StateConflict: it was given up meanwhile, and what it made is deleted.
    """
    if attempt_id is not None and not await Attempts(unit).landed(attempt_id):
        raise StateConflict("the registration took too long and was given up; try again")
