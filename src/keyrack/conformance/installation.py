"""An installation of Keyrack for a test: a temporary database, and every host name of a provider leads to a twin."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keyrack.crypto.kek import local
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.provider.client import ProviderClient
from keyrack.provider.trust import Authorities
from keyrack.settings import Settings, load_settings
from keyrack.simulator.twin.server import TwinServer, twin_server
from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.wiring.services import Services, build_services
from keyrack.wiring.storage import open_store

PUBLIC_URL = "https://keyrack.example"
"""Where users come back to; nothing is ever asked there."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder within it is private
"""Where there is one, the database is kept in memory: nobody needs it on a disk."""


@dataclass(frozen=True, slots=True)
class EmbeddedKeyrack:
    """Use cases on an empty database, and somebody who may use them.

    Attributes:
        services: the use cases.
        who: an admin of the only tenant, with a place in its only workspace.
        tenant_id: the tenant.
        workspace_id: the workspace.
        team_id: the only team, whose components the workspace has.
        server: where every request to a provider goes.
    """

    services: Services
    who: Principal
    tenant_id: str
    workspace_id: str
    team_id: str
    server: TwinServer


@asynccontextmanager
async def embedded_keyrack() -> AsyncIterator[EmbeddedKeyrack]:
    """Set one up in a temporary folder, and remove it at the end. Settings of the environment do not count."""
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="keyrack-conformance-", dir=memory) as folder:
        settings = await asyncio.to_thread(_settings, Path(folder) / "home")
        await _migrate(settings)
        store = open_store(settings)
        async with twin_server() as server:
            # The twin is on this machine, which is why addresses may be private; profiles still have to say https.
            provider = ProviderClient(
                allow_insecure=True, authorities=Authorities(only=server.trusting), resolver=server.resolver
            )
            services = build_services(store, settings, provider=provider)
            try:
                first = await services.installations.bootstrap("admin@keyrack.example", "Test", "keyrack.example")
                who = Principal(PrincipalKind.user, first.user_id, first.email, tenant_id=first.tenant_id)
                yield EmbeddedKeyrack(services, who, first.tenant_id, first.workspace_id, first.team_id, server)
            finally:
                await services.refreshing.close()
                await services.close()
                await store.close()


def _settings(home: Path) -> Settings:
    home.mkdir(mode=0o700)
    own = {"HOME": str(home), "LOG_LEVEL": "error", "PUBLIC_URL": PUBLIC_URL, "QUOTA_PENDING_CONSENTS": "0"}
    own["ALLOW_INSECURE_PROVIDERS"] = "true"
    settings = load_settings({f"KEYRACK_{name}": value for name, value in own.items()})
    local.generate(settings.effective_key_file)
    return settings


async def _migrate(settings: Settings) -> None:
    database = engine.create_engine(settings)
    try:
        await migrations.upgrade(database)
    finally:
        await database.dispose()
