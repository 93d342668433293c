"""A Keyrack that listens on a loopback port, for a real browser; and second replicas of one under test."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from keyrack.wiring.http import serve_with
from keyrack.wiring.services import build_services
from keyrack.wiring.storage import open_store
from support.app import BASE, World, settings_for, world


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[World]:
    """An installation with two tenants that listens at its `settings.public_url`."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with world(settings_for(tmp_path, allow_insecure_providers="true", public_url=address)) as made:
            config = uvicorn.Config(made.app, lifespan="off", log_config=None, access_log=False, ws="none")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server._serve([bound]))  # `serve` would take the tests' signals
            try:
                yield made
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def replica(first: World) -> AsyncIterator[httpx2.AsyncClient]:
    """Run another Keyrack on the database of one under test, with connections of its own."""
    store = open_store(first.settings)
    services = build_services(store, first.settings)
    app = serve_with(store, services, first.settings)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    try:
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
            yield http
    finally:
        await services.close()
        await store.close()
