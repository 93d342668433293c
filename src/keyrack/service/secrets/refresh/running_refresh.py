"""A refresh that goes on in this process, and the waiting for its result by whoever wants it."""

import asyncio
import time
from dataclasses import dataclass

from keyrack import metrics, tracing
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.leased_refresh import busy


@dataclass(frozen=True, slots=True)
class RunningRefresh:
    """A refresh of this process, when it began, as a reading of `time.monotonic`, and its span."""

    task: "asyncio.Task[AuthSecret]"
    began: float
    span: tracing.Span

    async def result(self, seconds: float, *, joined: bool) -> AuthSecret:
        """Wait for it; it goes on if we do not.

        Args:
            seconds: for how long.
            joined: somebody else has begun it, whose trace it is in.

        Raises:
            ProviderUnavailable: it takes too long, or that is what came of it.
            KeyrackError: what else came of it.
        """
        if not joined:
            return await self._awaited(seconds)
        began = time.monotonic()
        try:
            with tracing.span("wait for a refresh", linked_to=self.span.place):
                return await self._awaited(seconds)
        finally:
            metrics.lease_waited(time.monotonic() - began, here=True)

    async def _awaited(self, seconds: float) -> AuthSecret:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self.task)
        except TimeoutError:
            raise busy("The refresh is taking too long; it goes on.") from None
