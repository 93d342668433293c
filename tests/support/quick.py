"""What thousands of tests would do anew each time and need not: replaying migrations, and laying out the routes."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from litestar import Litestar

from keyrack.api import app as api_app
from keyrack.api.app import ApplicationParts
from keyrack.api.core.asgi import App
from keyrack.settings import Settings
from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.store.core.store import Store
from keyrack.wiring.http import serve_with
from keyrack.wiring.services import Services

_unused: list[tuple[Litestar, dict[str, Any]]] = []


async def migrate(settings: Settings) -> None:
    """Bring an empty database up to date; an embedded one as a copy of one that was migrated before."""
    if settings.database_url is not None:
        await _replay(settings)
        return
    template = _folder() / "template.sqlite3"
    if not template.exists():
        await _replay(settings)
        shutil.copy(settings.sqlite_path, template)
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, settings.sqlite_path)


@contextmanager
def served_in_process(store: Store, services: Services, settings: Settings) -> Iterator[App]:
    """Serve use cases over routes that may have been laid out for others before; only the use cases are exchanged."""
    taken: list[tuple[Litestar, dict[str, Any]]] = []

    def create(parts: ApplicationParts, running: AbstractAsyncContextManager[None]) -> Litestar:
        app, behind = _unused.pop() if _unused else _laid_out(parts, running)
        behind.clear()
        behind.update(parts.services)
        taken.append((app, behind))
        return app

    with mock.patch.object(api_app, "create", create):
        served = serve_with(store, services, settings)
    try:
        yield served
    finally:
        _unused.extend(taken)


def _laid_out(parts: ApplicationParts, running: AbstractAsyncContextManager[None]) -> tuple[Litestar, dict[str, Any]]:
    behind: dict[str, Any] = dict(parts.services)
    names: Mapping[str, Any] = behind
    return _create(ApplicationParts(parts.handlers, names), running), behind


_create = api_app.create


async def _replay(settings: Settings) -> None:
    database = engine.create(settings)
    await migrations.upgrade(database)
    await database.dispose()


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="keyrack-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
