"""Hashes and checks passwords one after the other in a thread, tenants in turn.

Hashing takes a tenth of a second of one core by design. Here it takes no more than that core, neither the event loop
nor the threads that others use, and a tenant that has many passwords hashed waits for itself.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from keyrack.crypto.secret import Secret
from keyrack.errors import RateLimited

T = TypeVar("T")

MOST_OF_A_TENANT = 64
"""Passwords that may wait; the last of them for some ten seconds."""
MOST = 512
"""Passwords that may wait in all. Where there are no more, who has most of them waiting makes room."""
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=1$rLMdGAPwyZicMUErRTqDjg$dWLthhpSpaHozC9AA0T0IU6cYFKaCx7FCtR2E0lNzfU"
"""Hash of a password that nobody knows: checked where there is none, so that it takes as long."""
_RETRY_SECONDS = 5
_NICENESS = 10


class PasswordHashing:
    """Argon2id with the second cost of RFC 9106 section 4 (64 MiB, 3 passes), but on one lane: lanes are threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(parallelism=1)
        self._thread = ThreadPoolExecutor(1, "password-hashing", _give_precedence)
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._busy = False

    async def hash(self, tenant_id: str, password: Secret) -> str:
        """Return what is stored of a password.

        Args:
            tenant_id: whose turn it takes.
            password: in clear.

        Raises:
            RateLimited: too many of the tenant's, or of all, are waiting.
        """
        return await self._in_turn(tenant_id, self._hasher.hash, password.reveal())

    async def matches(self, holder: str, stored: str, password: Secret) -> bool:
        """Tell whether a password is the one whose hash is stored.

        Args:
            holder: whose turn it takes: where a caller comes from who is not known yet.
            stored: as `hash` returned it.
            password: in clear.

        Raises:
            RateLimited: as `hash`.
        """
        try:
            return await self._in_turn(holder, self._hasher.verify, stored, password.reveal())
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, holder: str, function: Callable[..., T], *arguments: str) -> T:
        await self._turn(holder)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        finally:
            self._next()

    def close(self) -> None:
        """Let go of the thread; nothing is hashed afterwards."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, tenant_id: str) -> None:
        if not self._busy:
            self._busy = True
            return
        own = self._waiting.setdefault(tenant_id, deque())
        if len(own) >= MOST_OF_A_TENANT or not self._has_room(own):
            raise RateLimited(_RETRY_SECONDS)
        turn = asyncio.get_running_loop().create_future()
        own.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    own.remove(turn)
            else:  # it had come just now
                self._next()
            raise

    def _has_room(self, own: "deque[asyncio.Future[None]]") -> bool:
        """Tell whether one more may wait: where all places are taken, at the cost of a tenant with more of them."""
        if sum(map(len, self._waiting.values())) < MOST:
            return True
        most = max(self._waiting.values(), key=len)
        if len(most) <= len(own) + 1:
            return False
        last = most.pop()
        if not last.done():
            last.set_exception(RateLimited(_RETRY_SECONDS))
        return True

    def _next(self) -> None:
        """Give the turn to the tenant that has waited longest for one."""
        while self._waiting:
            tenant_id, own = self._waiting.popitem(last=False)
            turn = own.popleft() if own else None
            if own:
                self._waiting[tenant_id] = own  # behind all others
            if turn is not None and not turn.done():
                turn.set_result(None)
                return
        self._busy = False


def _give_precedence() -> None:
    """Let everything else run first, where a thread can have a niceness of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
