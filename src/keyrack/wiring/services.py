"""Builds all use cases on a store, once: a builder for each domain, and what goes through all of them."""

from dataclasses import dataclass, fields
from typing import Any

from keyrack import clock
from keyrack.clock import Clock
from keyrack.provider.client import ProviderClient
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.search.readers import Readers, UseCases
from keyrack.service.search.search import Search
from keyrack.service.secrets.refresh.composition import RefreshParts
from keyrack.settings import Settings
from keyrack.store.core.store import Store
from keyrack.wiring.auditing import AuditParts
from keyrack.wiring.clients import ClientServices, build_clients
from keyrack.wiring.consents import ConsentServices, build_consents
from keyrack.wiring.identity import IdentityServices, build_identity
from keyrack.wiring.operating import OperatingServices, build_operating
from keyrack.wiring.secrets import SecretServices, build_secrets
from keyrack.wiring.shared import build_shared
from keyrack.wiring.tenancy import TenancyServices, build_tenancy


@dataclass(frozen=True)
class Services(IdentityServices, TenancyServices, ClientServices, ConsentServices, SecretServices, OperatingServices):
    """All use cases; the members' names are those under which HTTP handlers ask for them.

    Each domain names its own. Here is what goes through all of them.
    """

    provider: ProviderClient
    issuers: ServerMetadata
    refreshing: RefreshParts
    audit_parts: AuditParts
    searching: Search

    async def close(self) -> None:
        """Let go of what the use cases hold open."""
        self.passwords.close()
        await self.device_polling.close()
        await self.deliverer.close()
        await self.revoker.close()
        if self.mailer is not None:
            await self.mailer.close()
        await self.issuers.close()
        await self.provider.close()


def build_services(
    store: Store, settings: Settings, now: Clock = clock.now, provider: ProviderClient | None = None
) -> Services:
    """Build the use cases on a store.

    Args:
        store: all data.
        settings: as loaded.
        now: the time.
        provider: calls providers, instead of the client that the settings describe.

    Raises:
        ConfigurationError: the settings cannot be used.
    """
    shared = build_shared(store, settings, now, provider)
    identity, tenancy, clients = build_identity(shared), build_tenancy(shared), build_clients(shared)
    consents, operating = build_consents(shared), build_operating(shared)
    secrets = build_secrets(shared, identity.authentication)
    by_name = _members(identity, tenancy, clients, consents, secrets, operating)
    readers = Readers(UseCases(**{each.name: by_name[each.name] for each in fields(UseCases)}))
    return Services(
        **by_name,
        provider=shared.provider,
        issuers=shared.issuers,
        refreshing=shared.refreshing,
        audit_parts=shared.audit,
        searching=Search(shared.access, readers.by_kind(), operating.audit_trail),
    )


def _members(*parts: Any) -> dict[str, Any]:
    return {member.name: getattr(part, member.name) for part in parts for member in fields(part)}
