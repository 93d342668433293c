"""Builds all use cases on a store, once."""

from dataclasses import dataclass
from datetime import timedelta

from keyrack import clock
from keyrack.clock import Clock
from keyrack.provider.client import ProviderClient
from keyrack.provider.name_lookup import BoundedLookups, NameServers
from keyrack.service.audit.log import AuditTrail
from keyrack.service.authz.access import Access
from keyrack.service.authz.quotas import Quotas
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.oauth_clients import OAuthClients
from keyrack.service.components.access import ComponentAccess
from keyrack.service.components.builds import ComponentBuilds
from keyrack.service.components.components import ComponentUseCases
from keyrack.service.components.environments import ComponentEnvironments
from keyrack.service.components.runtime import RuntimeEnvironments
from keyrack.service.consents.callbacks import ConsentCallbacks
from keyrack.service.consents.credential_handler import CredentialTarget
from keyrack.service.consents.links import ConsentLinks
from keyrack.service.consents.long_lived_tokens import LongLivedTokens
from keyrack.service.consents.oauth1_start import TemporaryRequests
from keyrack.service.consents.plan import ConsentPlanner
from keyrack.service.consents.secret_handler import SecretTarget
from keyrack.service.consents.server_metadata import Issuers
from keyrack.service.consents.start import Consents
from keyrack.service.consents.values import Targets
from keyrack.service.credentials.credentials import Credentials
from keyrack.service.flows.flows import Flows
from keyrack.service.identity.authentication import Identities
from keyrack.service.identity.last_use import KeyUse, LastUse
from keyrack.service.identity.principal_cache import KnownCallers
from keyrack.service.identity.task_keys import TaskKeys
from keyrack.service.identity.users import People
from keyrack.service.jobs.retention import Reaper
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.offboarding.user_deletion import UserDeletion
from keyrack.service.operator.installation import Installations
from keyrack.service.operator.metrics import Monitoring
from keyrack.service.secrets import revocation
from keyrack.service.secrets.fast_read import HotReads
from keyrack.service.secrets.refresh import composition
from keyrack.service.secrets.refresh.composition import Choices, RefreshRoom
from keyrack.service.secrets.refresh.leased_refresh import Timing
from keyrack.service.secrets.refresh.provider_limiter import Limits
from keyrack.service.secrets.refresh.revival import revive_secrets
from keyrack.service.secrets.revocation import Revoker
from keyrack.service.secrets.secrets import Secrets
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invite_acceptance import Arrivals
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.members import Members
from keyrack.service.tenancy.roles import Roles
from keyrack.service.tenancy.teams import Teams
from keyrack.service.tenancy.tenants import Tenants
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.service.webhooks.delivery import Deliverer
from keyrack.service.webhooks.registry import Webhooks
from keyrack.settings import Settings, name_servers
from keyrack.store.access_changes import AccessChanges
from keyrack.store.attempts import Kind
from keyrack.store.core import engine
from keyrack.store.core.listening import Listener
from keyrack.store.core.store import Store
from keyrack.store.secret_reader import secret_points
from keyrack.store.spool import Spool
from keyrack.wiring.configuration import quota_limits, schedule

_CONSENTS_AT_ONCE = 10
"""Connections to one provider beside those of refreshes, so that people need not wait for the background."""


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases; the members' names are those under which HTTP handlers ask for them."""

    identities: Identities
    installations: Installations
    oauth_clients: OAuthClients
    auth_clients: AuthClients
    consents: Consents
    callbacks: ConsentCallbacks
    consent_links: ConsentLinks
    issuers: Issuers
    credentials: Credentials
    secrets: Secrets
    hot_reads: HotReads
    flows: Flows
    task_keys: TaskKeys
    components: ComponentUseCases
    builds: ComponentBuilds
    environments: ComponentEnvironments
    runtime: RuntimeEnvironments
    tenants: Tenants
    roles: Roles
    contracts: Contracts
    workspaces: Workspaces
    teams: Teams
    members: Members
    invites: Invites
    arrivals: Arrivals
    people: People
    place_deletion: PlaceDeletion
    user_deletion: UserDeletion
    audit_trail: AuditTrail
    refresh_room: RefreshRoom
    last_use: LastUse
    key_use: KeyUse
    monitoring: Monitoring
    webhooks: Webhooks
    provider: ProviderClient
    deliverer: Deliverer
    revoker: Revoker
    reaper: Reaper

    async def close(self) -> None:
        """Let go of what the use cases hold open."""
        self.people.close()
        await self.deliverer.close()
        await self.revoker.close()
        await self.issuers.close()
        await self.provider.close()


def build_services(store: Store, settings: Settings, now: Clock = clock.now) -> Services:
    """Build the use cases on a store."""
    access = Access(store, Quotas(quota_limits(settings)))
    component_access, people = ComponentAccess(access), People(access)
    insecure = settings.allow_insecure_providers
    provider = ProviderClient(
        allow_insecure=insecure,
        timeout=settings.provider_timeout,
        connections_per_host=settings.provider_concurrency + _CONSENTS_AT_ONCE,
        resolver=BoundedLookups(
            NameServers(name_servers(settings.dns_servers), limit=settings.dns_timeout), limit=settings.dns_timeout
        ),
    )
    last_use = LastUse(store, now)
    spool, listener = Spool(settings.home / "spool"), Listener(engine.listener(settings))
    refreshing = composition.build(store, provider, spool, listener, choices(settings), revocation.enqueue_orphan, now)
    key_use = KeyUse(store, now)
    identities = Identities(store, now, key_use)
    points = secret_points(settings, store.vault)
    callers = KnownCallers(identities, access, AccessChanges(listener, points.version), now)
    targets = Targets(
        credentials=CredentialTarget(ConsentPlanner(allow_insecure=insecure)),
        secrets=SecretTarget(refreshing.choices.schedule, allow_insecure=insecure),
    )
    issuers = Issuers(provider)
    callbacks = ConsentCallbacks(store, access, refreshing.journal, LongLivedTokens(provider), targets, issuers, now)
    refreshing.recovery.add(Kind.code, callbacks.recover)
    return Services(
        identities=identities,
        installations=Installations(store, now),
        oauth_clients=OAuthClients(access),
        auth_clients=AuthClients(access, CredentialRules(insecure), revive_secrets),
        consents=Consents(
            access,
            TemporaryRequests(store, provider, now),
            targets,
            issuers,
            public_url=settings.public_url,
            lifetime=timedelta(seconds=settings.consent_lifetime),
            clock=now,
        ),
        callbacks=callbacks,
        consent_links=ConsentLinks(store, now),
        issuers=issuers,
        credentials=Credentials(access),
        secrets=Secrets(store, access, refreshing.fresh, refreshing.choices.schedule, last_use, now),
        hot_reads=HotReads(callers, points, refreshing.choices.schedule, last_use, now),
        flows=Flows(access),
        task_keys=TaskKeys(access),
        components=ComponentUseCases(access, component_access),
        builds=ComponentBuilds(component_access),
        environments=ComponentEnvironments(component_access),
        runtime=RuntimeEnvironments(access),
        tenants=Tenants(access),
        roles=Roles(access),
        contracts=Contracts(access),
        workspaces=Workspaces(access),
        teams=Teams(access),
        members=Members(access),
        invites=Invites(access),
        arrivals=Arrivals(access),
        people=people,
        place_deletion=PlaceDeletion(access),
        user_deletion=UserDeletion(access, people),
        audit_trail=AuditTrail(access),
        refresh_room=refreshing,
        last_use=last_use,
        key_use=key_use,
        monitoring=Monitoring(store, refreshing.limiter, refreshing.journal, spool, open_to_all=settings.metrics_open),
        webhooks=Webhooks(access, allow_insecure=insecure),
        provider=provider,
        deliverer=Deliverer(store, provider, timeout=settings.provider_timeout),
        revoker=Revoker(store, provider, timeout=settings.provider_timeout),
        reaper=Reaper(store, settings.event_retention_days),
    )


def choices(settings: Settings) -> Choices:
    """Return what the settings say about refreshing."""
    return Choices(
        schedule=schedule(settings),
        limits=Limits(
            concurrency=settings.provider_concurrency,
            failures=settings.breaker_failures,
            pause=settings.breaker_pause,
        ),
        timing=Timing(call=settings.provider_timeout, wait=settings.refresh_wait),
    )
