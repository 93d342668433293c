"""Runs claimed jobs: claims what is due, works on it beside the worker, and lets no slow job hold others up."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog

from keyrack.errors import DatabaseUnavailable
from keyrack.fair_share import Places
from keyrack.logs import log_fault
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit

log = structlog.get_logger()


class ClaimedJob(Protocol):
    """A job that is ours until its lease ends."""

    @property
    def tenant_id(self) -> str:
        """Whose it is; empty for the installation's."""

    @property
    def target_id(self) -> str:
        """What it is about: jobs of one target can be counted (`ClaimedJobs.under_way`)."""

    @property
    def slow(self) -> bool:
        """Whether it failed or hung lately."""


J = TypeVar("J", bound=ClaimedJob)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind(Generic[J]):
    """What is done with jobs of one kind.

    Attributes:
        any_due: whether there is something to claim; asked in a unit that only reads.
        claim: claims jobs in a transaction of its own: at most as many as there are places, which it takes.
        work: does one job, and settles it in the database; may raise anything.
        most: jobs at once in this process.
        timeout: seconds that the calls of one job take at most.
    """

    any_due: Callable[[Unit], Awaitable[bool]]
    claim: Callable[[Unit, Places], Awaitable[Sequence[J]]]
    work: Callable[[J], Coroutine[Any, Any, None]]
    most: int
    timeout: float


class ClaimedJobs(Generic[J]):
    """Claims and does the jobs of one kind, shared out among tenants.

    Args:
        store: where the jobs are.
        kind: what is claimed, and done.
        patience: seconds that `tick` waits for slow jobs before it leaves them to the next one.
    """

    def __init__(self, store: Store, kind: JobKind[J], patience: float) -> None:
        self._store = store
        self._kind = kind
        self._patience = patience
        self._places = Places(kind.most)
        self._tasks: dict[asyncio.Task[None], J] = {}

    @property
    def under_way(self) -> Mapping[str, int]:
        """How many jobs are under way, by target."""
        return Counter(job.target_id for job in self._tasks.values())

    async def tick(self) -> int:
        """Start what is due, as far as there are places; return how many jobs have ended since the last call.

        Jobs that are slow are left alone after a moment and counted by a later call.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        places = self._places.copy()
        if places.free and await self._any_due():
            async with self._store.installation(writes=True) as unit:
                claimed = await self._kind.claim(unit, places)
            for job in claimed:
                self._places.hold(job.tenant_id, slow=job.slow)
                self._tasks[asyncio.create_task(self._kind.work(job))] = job
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        return self._gather()

    async def close(self) -> None:
        """Let jobs that are under way end; what does not end in time is due again when its lease ends."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._kind.timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._gather()

    async def _any_due(self) -> bool:
        async with self._store.installation() as unit:
            return await self._kind.any_due(unit)

    def _gather(self) -> int:
        ended = [(task, job) for task, job in self._tasks.items() if task.done()]
        for task, job in ended:
            del self._tasks[task]
            self._places.give_back(job.tenant_id, slow=job.slow)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, DatabaseUnavailable):
                log.warning("outcome not stored; it will be tried again", error="DatabaseUnavailable")
            elif error is not None:
                log_fault(error, "a claimed job failed", target=job.target_id)
        return len(ended)
