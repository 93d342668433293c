"""Authenticates requests of an httpx2 client, synchronous or not, with a secret from Keyrack."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx2

from keyrack.client.asynchronous import AsyncKeyrack
from keyrack.client.bound_tokens import Nonces, add_proof
from keyrack.client.errors import Misconfigured, NotRefreshable, TokenNotValid
from keyrack.client.flights import TaskFlight, ThreadFlight
from keyrack.client.held import Clock, Held, held
from keyrack.client.results import AuthSecret
from keyrack.client.synchronous import Keyrack

_UNAUTHORIZED = 401


class TokenFlow:
    """Sends a secret with every request, and renews it once when the third party answers 401 (contract 15.3).

    It is read before the first request and kept until `min_validity` seconds before it ends. On a 401 it is read
    again, since somebody may have renewed it; if it is the same, Keyrack refreshes it; then the request is sent once
    more, whatever comes of it. All threads and tasks share one reading and one refresh, and its error.

    What cannot be refreshed leaves the 401 as it is, and so does a body that cannot be sent twice. Secrets of the types
    `basic` and `api_key` are sent as their headers say. With a token that is bound to a key, Keyrack is asked for a
    proof for each request, and for another one where the third party wants a nonce (RFC 9449).

    Args:
        keyrack: who reads the secret. With a `Keyrack`, requests of async clients ask in a thread; an `AsyncKeyrack`
            serves async clients only.
        workspace_id: the secret's workspace.
        secret_id: the secret.
        min_validity: seconds.
        clock: for tests.
    """

    def __init__(
        self,
        keyrack: Keyrack | AsyncKeyrack,
        workspace_id: str,
        secret_id: str,
        *,
        min_validity: int = 30,
        clock: Clock = time.monotonic,
    ) -> None:
        self._keyrack = keyrack
        self._names = (workspace_id, secret_id)
        self._min_validity = min_validity
        self._clock = clock
        self._held: Held | None = None
        self._threads: ThreadFlight[Held] = ThreadFlight()
        self._tasks: TaskFlight[Held] = TaskFlight()
        self._nonces = Nonces()

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Called by a client for each request; of requests and responses only what httpx and httpx2 share is used."""
        used = self._current()
        self._put(request, used)
        response = yield request
        if used.bound and self._nonces.learn(request, response) and _can_be_sent_again(request):
            self._put(request, used)
            response = yield request
        if response.status_code != _UNAUTHORIZED:
            return
        renewed = self._renewed(used)
        if renewed.value != used.value and _can_be_sent_again(request):
            self._put(request, renewed)
            yield request

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """The same for async clients."""
        used = await self._current_async()
        await self._put_async(request, used)
        response = yield request
        if used.bound and self._nonces.learn(request, response) and _can_be_sent_again(request):
            await self._put_async(request, used)
            response = yield request
        if response.status_code != _UNAUTHORIZED:
            return
        renewed = await self._renewed_async(used)
        if renewed.value != used.value and _can_be_sent_again(request):
            await self._put_async(request, renewed)
            yield request

    def _put(self, request: Any, used: Held) -> None:
        """Put a secret into a request, and a proof for the request if its token is bound to a key."""
        request.headers[used.name] = used.value.reveal()
        if used.bound:
            asked = (*self._names, request.method, str(request.url))
            add_proof(request, self._sync.dpop_proof(*asked, nonce=self._nonces.of(request)))

    async def _put_async(self, request: Any, used: Held) -> None:
        if isinstance(self._keyrack, Keyrack):
            return await asyncio.to_thread(self._put, request, used)
        request.headers[used.name] = used.value.reveal()
        if used.bound:
            asked = (*self._names, request.method, str(request.url))
            add_proof(request, await self._keyrack.dpop_proof(*asked, nonce=self._nonces.of(request)))
        return None

    def _current(self) -> Held:
        return self._fresh() or self._threads.join(self._read_unless_fresh)

    async def _current_async(self) -> Held:
        return self._fresh() or await self._tasks.join(self._read_unless_fresh_async)

    def _fresh(self) -> Held | None:
        now_held = self._held
        return now_held if now_held is not None and self._clock() < now_held.until else None

    def _renewed(self, used: Held) -> Held:
        """Return another header than the one that was refused; the same one if there is no other."""
        while True:
            found = self._other_than(used)
            if found is not None:
                return found
            led = False

            def work() -> Held:
                nonlocal led
                led = True
                return self._renew(used)

            found = self._threads.join(work)
            if led or found.value != used.value:
                return found

    async def _renewed_async(self, used: Held) -> Held:
        while True:
            found = self._other_than(used)
            if found is not None:
                return found
            led = False

            async def work() -> Held:
                nonlocal led
                led = True
                return await self._renew_async(used)

            found = await self._tasks.join(work)
            if led or found.value != used.value:
                return found

    def _other_than(self, used: Held) -> Held | None:
        now_held = self._held
        return now_held if now_held is not None and now_held.value != used.value else None

    def _read_unless_fresh(self) -> Held:
        return self._fresh() or self._hold(self._read(self._sync))

    async def _read_unless_fresh_async(self) -> Held:
        if isinstance(self._keyrack, Keyrack):
            return await asyncio.to_thread(self._current)
        return self._fresh() or self._hold(await self._read_async(self._keyrack))

    def _renew(self, used: Held) -> Held:
        found = self._other_than(used) or self._hold(self._sync.secret(*self._names))
        if found.value != used.value:
            return found
        try:
            return self._hold(self._sync.refresh(*self._names))
        except NotRefreshable:
            return found

    async def _renew_async(self, used: Held) -> Held:
        if isinstance(self._keyrack, Keyrack):
            return await asyncio.to_thread(self._renewed, used)
        found = self._other_than(used) or self._hold(await self._keyrack.secret(*self._names))
        if found.value != used.value:
            return found
        try:
            return self._hold(await self._keyrack.refresh(*self._names))
        except NotRefreshable:
            return found

    def _read(self, keyrack: Keyrack) -> AuthSecret:
        try:
            return keyrack.secret(*self._names, min_validity=self._min_validity)
        except TokenNotValid:  # one that lives shorter than that is better than none; not one that has ended
            return keyrack.secret(*self._names, min_validity=0)

    async def _read_async(self, keyrack: AsyncKeyrack) -> AuthSecret:
        try:
            return await keyrack.secret(*self._names, min_validity=self._min_validity)
        except TokenNotValid:
            return await keyrack.secret(*self._names, min_validity=0)

    def _hold(self, secret: AuthSecret) -> Held:
        self._held = held(secret, self._min_validity, self._clock())
        return self._held

    @property
    def _sync(self) -> Keyrack:
        if isinstance(self._keyrack, Keyrack):
            return self._keyrack
        raise Misconfigured("an AsyncKeyrack serves async clients only; give a Keyrack")


class KeyrackAuth(TokenFlow, httpx2.Auth):
    """A secret of Keyrack as `auth=` of an httpx2 client; how it works and what it takes is said at `TokenFlow`."""


def _can_be_sent_again(request: Any) -> bool:
    try:
        request.content  # noqa: B018 - raises for a body that comes as a stream
    except RuntimeError:
        return False
    return True
