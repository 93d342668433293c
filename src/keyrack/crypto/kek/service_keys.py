"""Calls a key service's blocking client from the event loop: in threads of its own, bounded in time and number.

A service that does not answer is left alone for a moment, so that those who need it are told at once, and nobody waits
behind a queue of calls that are going to fail.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from keyrack import metrics
from keyrack.crypto.envelope import KEY_BYTES
from keyrack.errors import KeyServiceUnavailable, WrongKey

T = TypeVar("T")

THREADS = 4
_FIRST_REST, _LONGEST_REST = 0.5, 10.0
_PROBE = b"keyrack probe"
"""The context of what is wrapped only to see that a service does it."""


class KeyService(Protocol):
    """A key of a key service, through the service's own client, which blocks. Its calls end by themselves."""

    @property
    def kind(self) -> str:
        """Which service, for metrics: `aws-kms`, `google-kms`, `vault`, `openbao`."""
        ...

    @property
    def name(self) -> str:
        """The key, with its service: what the ids of its versions begin with."""
        ...

    def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key; return the id of the version used and the wrapped bytes.

        Raises:
            KeyServiceUnavailable: the service does not answer, or refuses.
        """
        ...

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            WrongKey: the service says that this key did not encrypt it.
            KeyServiceUnavailable: the service does not answer, or refuses.
        """
        ...


class ServiceKeys:
    """A key of a key service.

    Args:
        service: the blocking client.
        timeout: seconds a call may take.
        timer: seconds that never go back.
    """

    is_remote = True

    def __init__(self, service: KeyService, timeout: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._timeout = timeout
        self._timer = timer
        self._threads = ThreadPoolExecutor(THREADS, "keyrack-keys")
        self._current = service.name
        self._rests_until, self._rest, self._cause = float("-inf"), 0.0, ""

    @property
    def current(self) -> str:
        """The id of the version that wrapped last; only the key's name before the first call."""
        return self._current

    @property
    def ids(self) -> Sequence[str]:
        """The key's name."""
        return (self._service.name,)

    @property
    def has_failed(self) -> bool:
        """Whether the last call got no answer, or a refusal."""
        return self._rest > 0

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key, and see that the service can decrypt it again before anything relies on it.

        Raises:
            KeyServiceUnavailable: the service does not answer, or refuses, or does not decrypt what it encrypted.
        """
        kek_id, wrapped = await self._call("wrap", lambda: self._service.wrap(material, context))
        try:
            again = await self.unwrap(kek_id, wrapped, context)
        except WrongKey:
            again = b""
        if again != material:
            raise KeyServiceUnavailable(cause=f"{self._service.name} does not decrypt what it has encrypted")
        self._current = kek_id
        return kek_id, wrapped

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            WrongKey: the service says that this key did not encrypt it.
            KeyServiceUnavailable: the service does not answer, or refuses.
        """
        material = await self._call("unwrap", lambda: self._service.unwrap(kek_id, wrapped, context))
        if len(material) != KEY_BYTES:
            raise WrongKey(f"what {kek_id} has decrypted is no data key")
        return material

    async def refresh(self, *, services: bool = True) -> None:
        """Learn the newest version, by wrapping something that is thrown away.

        Args:
            services: False: do nothing.

        Raises:
            KeyServiceUnavailable: the service does not answer, or refuses.
        """
        if services:
            await self.wrap(os.urandom(KEY_BYTES), _PROBE)

    async def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, operation: str, work: Callable[[], T]) -> T:
        began = self._timer()
        if began < self._rests_until:
            raise KeyServiceUnavailable(cause=self._cause)
        outcome = "failed"
        try:
            done = await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(self._threads, work), self._timeout
            )
        except WrongKey:
            outcome = "wrong_key"
            self._rest = 0.0
            raise
        except TimeoutError:
            raise self._failed(f"{self._service.name} gave no answer within {self._timeout:g} s") from None
        except KeyServiceUnavailable as error:
            raise self._failed(error.cause or "") from error
        else:
            outcome, self._rest = "ok", 0.0
            return done
        finally:
            metrics.key_service_called(self._service.kind, operation, outcome, self._timer() - began)

    def _failed(self, cause: str) -> KeyServiceUnavailable:
        self._rest = min(_LONGEST_REST, self._rest * 2 or _FIRST_REST)
        self._rests_until, self._cause = self._timer() + self._rest, cause
        return KeyServiceUnavailable(cause=cause)
