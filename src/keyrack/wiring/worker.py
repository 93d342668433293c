"""Builds and runs the background worker, and closes what use cases keep open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyrack import tracing
from keyrack.settings import Settings
from keyrack.store.core.store import Store
from keyrack.wiring.services import Services
from keyrack.worker.refreshing import RefreshWorker
from keyrack.worker.worker import PeriodicTask, Worker

_REAPING_SECONDS = 3600.0
_REMINDING_SECONDS = 60.0


def build_worker(made: Services, settings: Settings) -> Worker:
    """Build the background worker on use cases."""
    tasks = [
        PeriodicTask("device polls", made.device_polling.tick, settings.worker_interval),
        PeriodicTask("webhooks", made.deliverer.tick, settings.worker_interval),
        PeriodicTask("revocations", made.revoker.tick, settings.worker_interval),
        PeriodicTask("audit hours", made.audit_parts.hours.tick, _REMINDING_SECONDS),
        PeriodicTask("audit chains", made.audit_parts.chainer.tick, settings.worker_interval),
        PeriodicTask("secret rotations", made.rotation_trials.tick, settings.worker_interval),
        PeriodicTask("deleted clients", made.client_purge.tick, _REMINDING_SECONDS),
        PeriodicTask("reaper", made.retention.reap, _REAPING_SECONDS),
        PeriodicTask("audit retention", made.audit_parts.retention.reap, _REAPING_SECONDS),
        PeriodicTask("registrations", made.registration_renewals.tick, _REMINDING_SECONDS),
        PeriodicTask("secret reminders", made.secret_reminders.tick, _REMINDING_SECONDS),
    ]
    if made.audit_parts.sink is not None:
        tasks.append(PeriodicTask("audit sink", made.audit_parts.sink.tick, settings.worker_interval))
    if made.mailer is not None:
        tasks.append(PeriodicTask("mail", made.mailer.tick, settings.worker_interval))
    refreshing = RefreshWorker(made.refreshing.refresher, settings.worker_concurrency)
    return Worker(refreshing, tasks, settings.worker_interval)


@asynccontextmanager
async def running(
    store: Store, made: Services, settings: Settings, *, works: bool, api: bool = True
) -> AsyncIterator[None]:
    """Run what goes on beside requests, and close everything afterwards, tracing too.

    Args:
        store: all data.
        made: the use cases.
        settings: how long a stop may take.
        works: whether to run the background worker too.
        api: whether the process also has the API.
    """
    background = build_worker(made, settings) if works else None
    await made.refreshing.start()
    await made.last_use.start()
    await made.key_use.start()
    await made.audit_parts.counter.start()
    await made.metrics_reader.start()
    await made.heartbeat.start([role for role, does in (("api", api), ("worker", works)) if does])
    made.key_watch.start()
    made.fast_reads.open()
    if background is not None:
        await background.start()
    try:
        yield
    finally:
        if background is not None:
            await background.stop(settings.drain_timeout)
        await made.fast_reads.close()
        await made.refreshing.close()
        await made.last_use.close()
        await made.key_use.close()
        await made.audit_parts.counter.close()
        await made.metrics_reader.close()
        await made.heartbeat.close()
        await made.key_watch.close()
        await made.close()
        await store.close()
        await tracing.close()
