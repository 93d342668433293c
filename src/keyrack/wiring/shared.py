"""Builds what use cases of several domains stand on: access, ways to providers, the refresh engine, the audit log."""

from dataclasses import dataclass
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.provider.client import ProviderClient
from keyrack.provider.egress_proxy import egress_proxy
from keyrack.provider.name_lookup import BoundedLookups, NameServers
from keyrack.provider.trust import authorities_of
from keyrack.service.authz.access import Access
from keyrack.service.authz.quotas import Quotas
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.secrets import revocation
from keyrack.service.secrets.after_connecting import AfterConnecting
from keyrack.service.secrets.refresh import composition
from keyrack.service.secrets.refresh.composition import RefreshParts, RefreshSettings
from keyrack.service.secrets.refresh.leased_refresh import Timing
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimits
from keyrack.service.secrets.userinfo import UserInfo
from keyrack.setting_values import name_servers
from keyrack.settings import Settings
from keyrack.store.core import engine
from keyrack.store.core.listening import Listener
from keyrack.store.core.store import Store
from keyrack.store.spool import Spool
from keyrack.wiring.auditing import AuditParts, build_audit
from keyrack.wiring.configuration import quota_limits, schedule

_CONSENTS_AT_ONCE = 10
"""Connections to one provider beside those of refreshes, so that people need not wait for the background."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What use cases of several domains stand on.

    Attributes:
        store: all data.
        settings: as loaded.
        now: the time.
        audit: counts for the audit logs, chains and sends them.
        access: authorises, and writes the audit log.
        provider: calls providers.
        issuers: what authorization servers say of themselves.
        userinfo: asks providers whose account it is.
        after_connecting: makes the calls that provider profiles want made once an account is connected.
        spool: answers of providers that wait on this machine.
        refreshing: the refresh engine.
    """

    store: Store
    settings: Settings
    now: Clock
    audit: AuditParts
    access: Access
    provider: ProviderClient
    issuers: ServerMetadata
    userinfo: UserInfo
    after_connecting: AfterConnecting
    spool: Spool
    refreshing: RefreshParts

    @property
    def allow_insecure(self) -> bool:
        """Whether providers may be called over http and at private addresses."""
        return self.settings.allow_insecure_providers


def build_shared(store: Store, settings: Settings, now: Clock, provider: ProviderClient | None) -> Shared:
    """Build it.

    Args:
        store: all data.
        settings: as loaded.
        now: the time.
        provider: calls providers, instead of the client that the settings describe.

    Raises:
        ConfigurationError: the settings describe no client that could call.
    """
    audit = build_audit(store, settings, now)
    provider = provider or _provider_client(settings)
    spool, listener = Spool(settings.home / "spool"), Listener(engine.listener(settings), store.say)
    return Shared(
        store=store,
        settings=settings,
        now=now,
        audit=audit,
        access=Access(store, Quotas(quota_limits(settings)), audit.counter),
        provider=provider,
        issuers=ServerMetadata(provider),
        userinfo=UserInfo(provider, allow_insecure=settings.allow_insecure_providers),
        after_connecting=AfterConnecting(provider, allow_insecure=settings.allow_insecure_providers),
        spool=spool,
        refreshing=composition.build_refreshing(
            store, provider, spool, listener, _refresh_settings(settings), revocation.enqueue_orphan, now
        ),
    )


def _provider_client(settings: Settings) -> ProviderClient:
    return ProviderClient(
        allow_insecure=settings.allow_insecure_providers,
        timeout=settings.provider_timeout,
        connections_per_host=settings.provider_concurrency + _CONSENTS_AT_ONCE,
        authorities=authorities_of(settings.ca_file),
        proxy=egress_proxy(settings.proxy_url, settings.no_proxy),
        resolver=BoundedLookups(
            NameServers(name_servers(settings.dns_servers), limit=settings.dns_timeout), limit=settings.dns_timeout
        ),
    )


def _refresh_settings(settings: Settings) -> RefreshSettings:
    return RefreshSettings(
        schedule=schedule(settings),
        limits=ProviderLimits(
            concurrency=settings.provider_concurrency,
            failures=settings.breaker_failures,
            pause=settings.breaker_pause,
            tenant_calls=settings.quota_refreshes,
        ),
        timing=Timing(call=settings.provider_timeout, wait=settings.refresh_wait),
        old_secret_kept=timedelta(hours=settings.old_secret_hours),
    )
