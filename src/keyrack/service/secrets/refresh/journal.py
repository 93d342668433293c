"""Sends a token request so that its answer is never lost (design, rotation journal; invariant 2).

The intent is written after the connection is made and before the request is; the answer, whatever is wrong with it, is
sealed and stored before anyone interprets it: in the database, else in the spool, else in memory until one of them
takes it.

A request that carries a DPoP proof may be sent twice under one intent: the first time it was refused unprocessed, for
want of the server's nonce, so neither code nor refresh token was used by it, and that answer is not kept. A crash in
between leaves an intent without an answer, which is taken for one whose outcome is not known.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import cast

import msgspec
import structlog

from keyrack import tracing
from keyrack.clock import Clock
from keyrack.errors import DatabaseUnavailable, DataKeyRetired, NotFound, ProviderUnavailable, WrongKey
from keyrack.oauth.wire import AnswerFault, FormRequest, JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.faults import may_have_been_sent
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.attempts import Attempt, AttemptResult, Attempts, answer_place
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.leases import Lease, Leases
from keyrack.store.spool import Spool, Spooled

log = structlog.get_logger()

_NOTHING: Mapping[str, str] = MappingProxyType({})

Permit = Callable[[Unit], Awaitable[None]]
"""Runs in the transaction that writes the intent; raising a `KeyrackError` calls the request off."""


async def nothing_to_check(_unit: Unit) -> None:
    """Permit a request in any case."""


class _StoredAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes
    fault: str | None = None  # this and what follows is not in what older versions stored
    cut: bool = False
    head: bytes = b""
    surplus: bytes = b""
    about: dict[str, str] = {}


class Journal:
    """Writes down what is sent and what comes back."""

    def __init__(self, store: Store, provider: ProviderClient, spool: Spool, clock: Clock) -> None:
        self._store = store
        self._provider = provider
        self._spool = spool
        self._clock = clock
        self._unsaved: dict[str, Spooled] = {}
        self._running: set[str] = set()
        self._unreadable: set[str] = set()

    @property
    def running(self) -> frozenset[str]:
        """Ids of attempts that this process is in the middle of."""
        return frozenset(self._running)

    @property
    def in_memory(self) -> int:
        """How many answers are in memory only, because neither the database nor the spool took them."""
        return len(self._unsaved)

    async def exchange(
        self,
        attempt: Attempt,
        request: FormRequest | QueryRequest | JsonRequest,
        permit: Permit,
        about: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Send a request and return its answer, which is stored by then.

        Args:
            attempt: what is written down.
            request: what is sent.
            permit: the last check, in the transaction of the intent.
            about: what else has to be known to judge the answer later; sealed with it.

        Raises:
            KeyrackError: what `permit` raised, or the database is gone; nothing was sent.
            ValidationFailed: the request cannot be sent.
            ProviderUnavailable: nothing came back. If it may have been sent, the attempt stays open.
        """
        begun = False

        async def intend() -> None:
            nonlocal begun
            with tracing.span("write the intent"):
                async with self._store.unit(attempt.tenant_id, writes=True) as unit:
                    await permit(unit)
                    if not begun:
                        await unit.keyring.prepare(unit.connection, attempt.tenant_id)
                        await Attempts(unit).begin(attempt)
            begun = True

        return await self._sent(attempt, request, intend, about=about or {})

    async def exchange_under(
        self, lease: Lease, length_ms: int, attempt: Attempt, request: FormRequest, call_over: Callable[[], None]
    ) -> RawResponse:
        """Send a request under a lease and return its answer, as `exchange`.

        Args:
            lease: the intent is written if it still holds; it then lasts from that moment.
            length_ms: how long, milliseconds.
            attempt: what is written down.
            request: what is sent.
            call_over: called when the answer is there, before it is stored.

        Raises:
            LeaseLost: another process has the lease by now; nothing was sent.
            KeyrackError: as `exchange`.
        """
        begun = False

        async def intend() -> None:
            nonlocal begun
            with tracing.span("write the intent"):
                async with self._store.single(attempt.tenant_id) as unit:
                    if begun:
                        await Leases(unit).extend(lease, length_ms)
                        return
                    await unit.keyring.prepare(unit.connection, attempt.tenant_id)
                    await Leases(unit).intend(lease, length_ms, attempt)
            begun = True

        return await self._sent(attempt, request, intend, call_over)

    async def _sent(
        self,
        attempt: Attempt,
        request: FormRequest | QueryRequest | JsonRequest,
        intend: Callable[[], Awaitable[None]],
        call_over: Callable[[], None] = lambda: None,
        about: Mapping[str, str] = _NOTHING,
    ) -> RawResponse:
        self._running.add(attempt.id)
        try:
            answer = await send(self._provider, request, intend, tenant_id=attempt.tenant_id)
            call_over()
            with tracing.span("store the sealed answer"):
                await self._keep(attempt, answer, about)
        except ProviderUnavailable as error:
            if not may_have_been_sent(error):  # the intent may be there all the same, if its commit took too long
                with suppress(DatabaseUnavailable):
                    await self._settle_unsent(attempt)
            raise
        finally:
            self._running.discard(attempt.id)
        return answer

    async def bring_in(self) -> int:
        """Move answers from memory and the spool to the database; return how many.

        Raises:
            DatabaseUnavailable: it is still gone.
        """
        brought = 0
        for answer in [*self._unsaved.values(), *self._spool.all()]:
            if answer.attempt_id in self._running or answer.attempt_id in self._unreadable:
                continue
            try:
                await self._store_answer(answer)
            except DataKeyRetired:  # nobody can read it any more: its tenant was shredded, or the key retired too early
                self._unreadable.add(answer.attempt_id)
                log.critical("an answer is encrypted with a data key that is gone", attempt=answer.attempt_id)
                continue
            self._unsaved.pop(answer.attempt_id, None)
            try:
                self._spool.drop(answer.attempt_id)
            except OSError:  # it is brought in again and again until the disk can be written; that changes nothing
                log.warning("an answer that was brought in cannot be removed from the spool", attempt=answer.attempt_id)
            brought += 1
        return brought

    async def read(self, unit: Unit, attempt: Attempt) -> RawResponse | None:
        """Return the answer of an attempt, if one was stored."""
        kept = await self.read_with(unit, attempt)
        return None if kept is None else kept[0]

    async def read_with(self, unit: Unit, attempt: Attempt) -> tuple[RawResponse, Mapping[str, str]] | None:
        """Return the answer of an attempt, if one was stored, and what was kept about the request beside."""
        if attempt.sealed_answer is None:
            return None
        place = answer_place(attempt.tenant_id, attempt.id)
        clear = await unit.keyring.open(unit.connection, place, attempt.sealed_answer)
        stored = msgspec.msgpack.decode(clear, type=_StoredAnswer)
        fault = None if stored.fault is None else AnswerFault(stored.fault)
        answer = RawResponse(
            stored.status,
            stored.headers,
            stored.body,
            fault,
            cut=stored.cut,
            head=stored.head,
            surplus=stored.surplus,
        )
        return answer, stored.about

    async def _keep(self, attempt: Attempt, answer: RawResponse, about: Mapping[str, str] = _NOTHING) -> None:
        fault = None if answer.fault is None else answer.fault.value
        stored = _StoredAnswer(
            answer.status,
            dict(answer.headers),
            answer.body,
            fault,
            answer.cut,
            answer.head,
            answer.surplus,
            dict(about),
        )
        clear = msgspec.msgpack.encode(stored)
        place = answer_place(attempt.tenant_id, attempt.id)
        try:
            sealed = self._store.keyring.seal_now(place, clear)
        except KeyError:  # the tenant was deleted or shredded meanwhile, and with it the key
            return
        spooled = Spooled(attempt.tenant_id, attempt.id, sealed, self._clock())
        try:
            try:
                await self._store_answer(spooled)
            except DataKeyRetired:  # while the provider was being asked
                async with self._store.unit(attempt.tenant_id) as unit:
                    sealed = await unit.keyring.seal(unit.connection, place, clear)
                spooled = Spooled(attempt.tenant_id, attempt.id, sealed, self._clock())
                await self._store_answer(spooled)
        except (
            NotFound,
            WrongKey,
        ):  # the tenant was deleted or shredded while the provider was being asked: nothing can keep its answer
            return
        except BaseException as error:
            # whatever stopped us, a cancellation included: the answer is worth more
            self._put_aside(spooled)
            if not isinstance(error, DatabaseUnavailable):
                raise

    async def _store_answer(self, answer: Spooled) -> None:
        async with self._store.single(answer.tenant_id) as unit:
            await Attempts(unit).answered(answer.attempt_id, answer.sealed, answer.at)

    def _put_aside(self, answer: Spooled) -> None:
        try:
            self._spool.put(answer)
        except OSError as error:
            self._unsaved[answer.attempt_id] = answer
            log.critical(
                "a provider's answer could be stored neither in the database nor in the spool; it is in memory only",
                attempt=answer.attempt_id,
                error=cast("int", error.errno),
            )
        else:
            log.warning("a provider's answer waits in the spool for the database", attempt=answer.attempt_id)

    async def _settle_unsent(self, attempt: Attempt) -> None:
        async with self._store.unit(attempt.tenant_id, writes=True) as unit:
            await Attempts(unit).settle(attempt.id, AttemptResult.unsent)
