"""Runs the simulator on loopback until told to stop, with its access log."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.web import BaseRequest, StreamResponse

from keyrack.errors import ConfigurationError
from keyrack.simulator.app import create_app
from keyrack.simulator.config import SimulatorConfig, is_loopback
from keyrack.simulator.state import State
from keyrack.simulator.wire import STATE

_GRACE = 1.0
"""Seconds that open requests are given at the end; a simulated hang must not hold it up."""


def serve(host: str, port: int, config: SimulatorConfig, ready: Callable[[str], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM.

    Args:
        host: a loopback address or name.
        port: a port, 0 for a free one.
        config: what to start with.
        ready: called with the base URL once requests are taken.

    Raises:
        ConfigurationError: the host is not loopback, or the port cannot be had.
    """
    check_host(host)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(host, port, config, ready))


@asynccontextmanager
async def listening(host: str, port: int, config: SimulatorConfig) -> AsyncIterator[tuple[str, State]]:
    """Serve in the running event loop for as long as the context is open.

    Yields:
        The base URL and the simulator's memory.

    Raises:
        ConfigurationError: the host is not loopback, or the port cannot be had.
    """
    check_host(host)
    app = create_app(config)
    runner = web.AppRunner(
        app,
        access_log_class=AccessLogger,
        access_log=LOGGER if config.access_log else None,
        shutdown_timeout=_GRACE,
    )
    listener = _bind(host, port)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        base_url = f"http://{_netloc(host)}:{listener.getsockname()[1]}"
        state = app[STATE]
        state.issuer = state.issuer or base_url
        yield base_url, state
    finally:
        await runner.cleanup()
        listener.close()


def check_host(host: str) -> None:
    """Refuse a host that others could reach.

    Raises:
        ConfigurationError: it is not loopback.
    """
    if not is_loopback(host):
        raise ConfigurationError("the simulator serves loopback only: its logins and its faults are public")


async def _serve(host: str, port: int, config: SimulatorConfig, ready: Callable[[str], None] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening(host, port, config) as (base_url, _state):
        if ready is not None:
            ready(base_url)
        await stop.wait()


def _bind(host: str, port: int) -> socket.socket:
    try:
        if ":" in host:
            return socket.create_server((host.strip("[]"), port), family=socket.AF_INET6, backlog=1024)
        # Names resolve to the one address, whatever the machine's resolver says.
        return socket.create_server((host if host[0].isdigit() else "127.0.0.1", port), backlog=1024)
    except OSError as exc:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from exc


def _netloc(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - it is not there on Windows

    return uvloop.new_event_loop


LOGGER: Final = logging.getLogger("keyrack.simulator.access")


class AccessLogger(AbstractAccessLogger):
    """Writes method, path, status and milliseconds."""

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Write one line; `time` is in seconds."""
        path = request.rel_url.raw_path
        self.logger.info("%s %s %d %.1fms", request.method, path, response.status, time * 1000)

    @property
    def enabled(self) -> bool:
        """Tell whether lines would be written at all."""
        return self.logger.isEnabledFor(logging.INFO)
