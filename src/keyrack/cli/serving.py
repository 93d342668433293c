"""`keyrack serve`, `keyrack simulator` and `keyrack settings`."""

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, complain, show, show_list
from keyrack.cli.open_files import most_connections
from keyrack.clock import now
from keyrack.crypto.secret import MASK, Secret
from keyrack.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from keyrack.api.core.asgi import App

_HUNG_SECONDS = 60
"""A process that gives no sign of life for so long is replaced. The server's own 5 s kill, again and again, processes
that take longer to start on a busy machine."""


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 1,
    *,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Also run the work of `keyrack worker`.")] = True,
) -> None:
    """Serve the API. Does not start with an outdated schema or a wrong key; SIGTERM finishes open requests."""
    from keyrack.cli.metrics_folder import shared_metrics

    with _starting():
        settings = _ready()
    # The server drains on SIGTERM and then raises it again for whoever was there before; a drained stop is a success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with shared_metrics(settings.home) if workers > 1 else nullcontext():
        _run("working_application" if worker else "application", host, port, workers, settings)


def _run(factory: str, host: str, port: int, workers: int, settings: Settings) -> None:
    from keyrack.cli.listening import bound, not_to_be_had, port_of
    from keyrack.cli.start_report import report

    sockets = bound(host, port)
    with _starting():
        import uvicorn
        from uvicorn.supervisors import Multiprocess

        from keyrack.api.core.connections import ConnectionLimits, Connections
        from keyrack.api.core.http_protocol import served_by

    limits = ConnectionLimits(
        connections=most_connections(settings.max_connections),
        per_address=settings.max_connections_per_address,
        header_seconds=settings.header_timeout,
        body_seconds=settings.body_timeout,
        write_seconds=settings.write_timeout,
        proxies=settings.trusted_proxies,
        over_tls=settings.over_tls,
    )
    config = uvicorn.Config(
        f"{__name__}:{factory}",
        factory=True,
        workers=workers,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        http=served_by(Connections(limits)),
        ws="none",
        timeout_keep_alive=settings.keepalive_seconds,
        timeout_graceful_shutdown=settings.drain_timeout,
        timeout_worker_healthcheck=_HUNG_SECONDS,
    )
    report(settings, host, port_of(sockets), workers=workers, api=factory != "watched_worker")
    server = uvicorn.Server(config)
    try:
        if workers > 1:
            Multiprocess(config, sockets=sockets).run()
        else:
            server.run(sockets)
    except KeyboardInterrupt:  # the server has drained, and raises it again
        pass
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise not_to_be_had(host, port, error) from None  # another server began to listen meanwhile
    if workers == 1 and not server.started:
        sys.exit(1)


def application() -> "App":
    """Build the application in a server process."""
    return _built(works=False)


def working_application() -> "App":
    """Build the application in a server process that also does the background work."""
    return _built(works=True)


def watched_worker() -> "App":
    """Build what a worker with a port answers with, and the background work behind it."""
    return _built(works=True, api=False)


def _built(*, works: bool, api: bool = True) -> "App":
    with _starting():
        from keyrack import logs, tracing
        from keyrack.store.core.process_id import node_id
        from keyrack.wiring.http import application

        settings = load_settings()
        logs.configure(settings)
        tracing.start(node_id())
        return application(settings, works=works, api=api)


@contextmanager
def _starting() -> Iterator[None]:
    """Keep the garbage collector away from what start-up makes: some 180,000 objects that stay as long as the process.

    While they are made it would look through them again and again, and find nothing: a fifth of the time to start.
    Later, a full collection of them would stop all requests for about a tenth of a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def worker(
    host: Annotated[str, typer.Option("--host", help="Address to listen on, with --port.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port for /healthz, /readyz and /metrics.")
    ] = None,
) -> None:
    """Run only the background work. It refreshes due secrets and delivers webhooks; SIGTERM finishes what runs."""
    import asyncio

    with _starting():
        settings = _ready()
    if port is None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_work(settings))
    else:
        signal.signal(signal.SIGTERM, lambda *_: None)  # as in `serve`
        _run("watched_worker", host, port, 1, settings)


def _loop_factory() -> Callable[[], Any] | None:
    """Return what makes the event loop that `serve` has too; None for Python's own, where that is not to be had."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _work(settings: Settings) -> None:
    import asyncio

    with _starting():
        import structlog

        from keyrack import tracing
        from keyrack.store.core.process_id import node_id
        from keyrack.wiring.services import build_services
        from keyrack.wiring.storage import open_store
        from keyrack.wiring.worker import running

        log = structlog.get_logger()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tracing.start(node_id())
        store = open_store(settings)
        services = build_services(store, settings)
    async with running(store, services, settings, works=True, api=False):
        log.info("worker started", pid=os.getpid())
        await stop.wait()
    log.info("worker stopped")


def simulator(
    host: Annotated[str, typer.Option("--host", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.")] = 9000,
    config: Annotated[Path | None, typer.Option("--config", help="TOML or JSON file with clients.")] = None,
    *,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Approve without showing a page.")] = False,
    as_json: Json = False,
) -> None:
    """Run the bundled authorization server. Its behaviour is configurable; for development and tests only."""
    from keyrack.simulator import server
    from keyrack.simulator.config import SimulatorConfig, automatic, load_config

    chosen = SimulatorConfig() if config is None else load_config(config)
    if auto_approve:
        chosen = automatic(chosen)

    def ready(base_url: str) -> None:
        show({"base_url": base_url, "pid": os.getpid()}, as_json=as_json)

    server.serve(host, port, chosen, ready)


def settings(*, as_json: Json = False) -> None:
    """Print all settings and their sources. Secrets are masked."""
    found = load_settings()
    rows = [
        {
            "name": PREFIX + spec.name.upper(),
            "value": _shown(getattr(found, spec.name)),
            "origin": found.origins[spec.name],
        }
        for spec in fields(found)
        if spec.name in found.origins
    ]
    show_list(("name", "value", "origin"), rows, as_json=as_json)
    if found.unknown_variables:
        complain(f"keyrack: unknown settings are ignored: {', '.join(found.unknown_variables)}")


def _shown(value: Any) -> str | int | float | bool | None:
    if isinstance(value, Secret):
        return MASK
    return str(value) if isinstance(value, Path) else value


def _ready() -> Settings:
    """Load the settings of a process that is going to stay, and make sure that it can."""
    import asyncio

    from keyrack import logs

    settings = load_settings()
    logs.configure(settings)
    if settings.unknown_variables:
        complain(f"keyrack: unknown settings are ignored: {', '.join(settings.unknown_variables)}")
    asyncio.run(_check(settings))
    return settings


async def _check(settings: Settings) -> None:
    from keyrack.service.operator.installation import InstallationSetup
    from keyrack.store import schema_revision
    from keyrack.store.core import engine
    from keyrack.wiring.storage import open_store

    database = engine.create_engine(settings)
    try:
        await schema_revision.check(database)
    finally:
        await database.dispose()
    store = open_store(settings)
    try:
        await InstallationSetup(store, now).verify_key()
    finally:
        await store.close()
