"""Wires everything once; the only place that knows all rooms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from keyrack import clock
from keyrack.api import app as api_app
from keyrack.api.front import App, Front
from keyrack.api.oauth_clients import OAuthClientController
from keyrack.api.throttle import Throttle
from keyrack.clock import Clock
from keyrack.crypto.kek import local
from keyrack.service.access import Access
from keyrack.service.identity import Identities
from keyrack.service.installation import Installations
from keyrack.service.oauth_clients import OAuthClients
from keyrack.settings import Settings
from keyrack.store import engine
from keyrack.store.store import Store
from keyrack.store.vault import Vault

HANDLERS = (OAuthClientController,)


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases; the members' names are those under which HTTP handlers ask for them."""

    identities: Identities
    installations: Installations
    oauth_clients: OAuthClients


def open_store(settings: Settings, now: Clock = clock.now) -> Store:
    """Open the database of the settings with its keys. Connects to nothing yet.

    Raises:
        ConfigurationError: the database URL or the keys cannot be used.
    """
    return Store(engine.create(settings), Vault(local.load(settings), now), now)


def services(store: Store, settings: Settings, now: Clock = clock.now) -> Services:
    """Build the use cases on a store."""
    del settings
    access = Access(store)
    return Services(
        identities=Identities(store, now), installations=Installations(store, now), oauth_clients=OAuthClients(access)
    )


def application(settings: Settings, now: Clock = clock.now) -> App:
    """Build the whole HTTP application.

    Raises:
        ConfigurationError: the settings cannot be used.
    """
    store = open_store(settings, now)
    made = services(store, settings, now)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        yield
        await store.close()

    names = {name: getattr(made, name) for name in Services.__slots__}
    app = api_app.create(api_app.Rooms(HANDLERS, names), running())
    return Front(cast("App", app), made.identities, Throttle(settings.rate_limit), settings.trusted_proxies)
