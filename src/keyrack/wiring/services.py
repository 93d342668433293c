"""Builds all use cases on a store, once."""

from dataclasses import dataclass
from datetime import timedelta

from keyrack import clock
from keyrack.clock import Clock
from keyrack.mail.message import sender_of
from keyrack.mail.smtp import MailClient, mail_server
from keyrack.provider.client import ProviderClient
from keyrack.provider.egress_proxy import egress_proxy
from keyrack.provider.name_lookup import BoundedLookups, NameServers
from keyrack.provider.trust import authorities_of
from keyrack.service.audit.log import AuditTrail
from keyrack.service.authz.access import Access
from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.authz.quotas import Quotas
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_client_overview import AuthClientOverview
from keyrack.service.clients.auth_client_usage import AuthClientUsageReader
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.client_attention import ClientAttentionReader
from keyrack.service.clients.deregistration import enqueue_deregistrations_of_tenant
from keyrack.service.clients.oauth_clients import OAuthClients
from keyrack.service.clients.provider_profiles import ProviderProfiles
from keyrack.service.clients.secret_reminders import SecretReminders
from keyrack.service.components.builds import ComponentBuilds
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.components.components import Components
from keyrack.service.components.environments import ComponentEnvironments
from keyrack.service.components.runtime import RuntimeEnvironments
from keyrack.service.components.visibility import ComponentVisibility
from keyrack.service.consents.callbacks import ConsentCallbacks
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.consents.connect_form import ConnectForms
from keyrack.service.consents.connect_links import ConnectLinks
from keyrack.service.consents.connect_page import ConnectPage
from keyrack.service.consents.connect_themes import ConnectThemes
from keyrack.service.consents.credential_handler import CredentialHandler
from keyrack.service.consents.device_authorization import DeviceAuthorizations
from keyrack.service.consents.device_polling import DevicePolling
from keyrack.service.consents.device_progress import DeviceProgressReader
from keyrack.service.consents.first_requests import FirstRequests
from keyrack.service.consents.id_tokens import IdTokens
from keyrack.service.consents.links import ConsentLinks
from keyrack.service.consents.long_lived_tokens import LongLivedTokens
from keyrack.service.consents.oauth1_start import OAuth1Start
from keyrack.service.consents.own_browser import OwnBrowserConsents
from keyrack.service.consents.plan import ConsentPlanner
from keyrack.service.consents.provider_accounts import ProviderAccounts
from keyrack.service.consents.pushed_authorization import PushedAuthorizations
from keyrack.service.consents.registration_by_hand import RegistrationsByHand
from keyrack.service.consents.secret_handler import SecretHandler
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import ConsentHandlers
from keyrack.service.containment.containment import Containment
from keyrack.service.containment.grant_actions import GrantActions
from keyrack.service.credentials.credentials import Credentials
from keyrack.service.diagnosis.client_diagnosis import ClientDiagnoses
from keyrack.service.diagnosis.examination import Examiner
from keyrack.service.discovery.auth_client_discovery import AuthClientDiscovery
from keyrack.service.discovery.authorization_servers import AuthorizationServers
from keyrack.service.discovery.client_documents import ClientDocuments
from keyrack.service.discovery.client_registrar import ClientRegistrar
from keyrack.service.discovery.mcp_servers import McpServers
from keyrack.service.discovery.protected_resources import ProtectedResources
from keyrack.service.discovery.registration_journal import RegistrationJournal
from keyrack.service.discovery.registration_renewal import RegistrationRenewals
from keyrack.service.flows.flows import Flows
from keyrack.service.identity.account_setup import AccountSetup
from keyrack.service.identity.authentication import Authentication
from keyrack.service.identity.console_sign_in import ConsoleSignIn
from keyrack.service.identity.last_use import KeyUse, LastUse
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.identity.principal_cache import PrincipalCache
from keyrack.service.identity.task_keys import TaskKeys
from keyrack.service.identity.two_step import TwoStep
from keyrack.service.identity.users import Users
from keyrack.service.jobs.retention import Retention
from keyrack.service.mail.mailer import Mailer
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.offboarding.user_deletion import UserDeletion
from keyrack.service.operator.heartbeat import Heartbeat
from keyrack.service.operator.installation import InstallationSetup
from keyrack.service.operator.key_watch import KeyWatch
from keyrack.service.operator.metrics import MetricsReader
from keyrack.service.operator.operations import Operations, build_operations
from keyrack.service.operator.service_accounts import ServiceAccountAdmin
from keyrack.service.rotation.secret_probe import SecretProbe
from keyrack.service.rotation.secret_rotations import SecretRotations
from keyrack.service.rotation.steps import RotationSteps
from keyrack.service.rotation.trials import RotationTrials
from keyrack.service.search.readers import Readers, UseCases
from keyrack.service.search.search import Search
from keyrack.service.secrets import revocation
from keyrack.service.secrets.connection_check import ConnectionChecks
from keyrack.service.secrets.connections import Connections
from keyrack.service.secrets.direct_grants import DirectGrants
from keyrack.service.secrets.dpop_proofs import DPoPProofs
from keyrack.service.secrets.fast_read import FastReads
from keyrack.service.secrets.freeze_watch import FreezeWatch
from keyrack.service.secrets.grant_reports import GrantReports
from keyrack.service.secrets.introspection import Introspection
from keyrack.service.secrets.refresh import composition
from keyrack.service.secrets.refresh.composition import RefreshParts, RefreshSettings
from keyrack.service.secrets.refresh.leased_refresh import Timing
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimits
from keyrack.service.secrets.revocation import Revoker
from keyrack.service.secrets.secrets import Secrets
from keyrack.service.secrets.userinfo import UserInfo
from keyrack.service.single_sign_on.identity_provider import IdentityProvider
from keyrack.service.single_sign_on.settings import SingleSignOnSettings
from keyrack.service.single_sign_on.sign_in import OrganisationSignIn
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invite_acceptance import InviteAcceptance
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.members import Members
from keyrack.service.tenancy.roles import Roles
from keyrack.service.tenancy.setup_links import SetupLinkMaker
from keyrack.service.tenancy.teams import Teams
from keyrack.service.tenancy.tenants import Tenants
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.service.webhooks.delivery import Deliverer
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import Webhooks
from keyrack.setting_values import name_servers
from keyrack.settings import Settings
from keyrack.store.access_changes import KEY_CHANNEL, AccessChanges
from keyrack.store.attempts import AttemptKind
from keyrack.store.core import engine
from keyrack.store.core.listening import Listener
from keyrack.store.core.store import Store
from keyrack.store.secret_reader import secret_reader
from keyrack.store.spool import Spool
from keyrack.wiring.auditing import AuditParts, build_audit
from keyrack.wiring.configuration import quota_limits, schedule

_CONSENTS_AT_ONCE = 10
"""Connections to one provider beside those of refreshes, so that people need not wait for the background."""


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases; the members' names are those under which HTTP handlers ask for them."""

    authentication: Authentication
    own_permissions: OwnPermissions
    installations: InstallationSetup
    oauth_clients: OAuthClients
    auth_clients: AuthClients
    auth_client_overview: AuthClientOverview
    mcp_servers: McpServers
    client_documents: ClientDocuments
    auth_client_usage: AuthClientUsageReader
    client_needs: ClientNeeds
    client_attention: ClientAttentionReader
    registrations_by_hand: RegistrationsByHand
    provider_profiles: ProviderProfiles
    client_diagnoses: ClientDiagnoses
    examiner: Examiner
    consents: ConsentStart
    callbacks: ConsentCallbacks
    device_polling: DevicePolling
    consent_links: ConsentLinks
    own_browser_consents: OwnBrowserConsents
    connect_forms: ConnectForms
    connect_links: ConnectLinks
    connect_page: ConnectPage
    connect_themes: ConnectThemes
    issuers: ServerMetadata
    credentials: Credentials
    secrets: Secrets
    dpop_proofs: DPoPProofs
    fast_reads: FastReads
    freeze_watch: FreezeWatch
    connections: Connections
    grant_reports: GrantReports
    connection_checks: ConnectionChecks
    flows: Flows
    task_keys: TaskKeys
    components: Components
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
    invite_acceptance: InviteAcceptance
    users: Users
    passwords: PasswordHashing
    console_sign_in: ConsoleSignIn
    two_step: TwoStep
    single_sign_on: SingleSignOnSettings
    organisation_sign_in: OrganisationSignIn
    account_setup: AccountSetup
    place_deletion: PlaceDeletion
    user_deletion: UserDeletion
    audit_trail: AuditTrail
    audit_parts: AuditParts
    service_accounts: ServiceAccountAdmin
    refreshing: RefreshParts
    last_use: LastUse
    key_use: KeyUse
    metrics_reader: MetricsReader
    heartbeat: Heartbeat
    key_watch: KeyWatch
    operations: Operations
    webhooks: Webhooks
    event_history: EventHistory
    provider: ProviderClient
    deliverer: Deliverer
    revoker: Revoker
    mailer: Mailer | None
    """None where no mail server is set."""
    retention: Retention
    containment: Containment
    rotation_steps: RotationSteps
    secret_rotations: SecretRotations
    rotation_trials: RotationTrials
    secret_reminders: SecretReminders
    registration_renewals: RegistrationRenewals
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
    """
    audit = build_audit(store, settings, now)
    access = Access(store, Quotas(quota_limits(settings)), audit.counter)
    passwords = PasswordHashing()
    visible_components, users = ComponentVisibility(access), Users(access, passwords)
    insecure = settings.allow_insecure_providers
    provider = provider or _provider_client(settings)
    spool, listener = Spool(settings.home / "spool"), Listener(engine.listener(settings), store.say)
    refreshing = composition.build_refreshing(
        store, provider, spool, listener, refresh_settings(settings), revocation.enqueue_orphan, now
    )
    last_use, key_use = LastUse(store, now), KeyUse(store, now)
    authentication = Authentication(store, now, key_use, audit.counter)
    points = secret_reader(settings, store.keyring)
    store.keyring.follow(AccessChanges(listener, points.version, channel=KEY_CHANNEL, exact=True))
    callers, freezes = (
        PrincipalCache(authentication, access, AccessChanges(listener, points.version), now),
        FreezeWatch(store),
    )
    targets = ConsentHandlers(
        credentials=CredentialHandler(ConsentPlanner(allow_insecure=insecure)),
        secrets=SecretHandler(refreshing.settings.schedule, allow_insecure=insecure),
    )
    issuers = ServerMetadata(provider)
    setup_links = SetupLinkMaker(settings.public_url, sends_mail=settings.smtp_url is not None)
    userinfo = UserInfo(provider, allow_insecure=insecure)
    introspection = Introspection(provider, allow_insecure=insecure)
    accounts = ProviderAccounts(userinfo, issuers)
    completion = ConsentCompletion(
        store,
        access,
        refreshing.journal,
        LongLivedTokens(provider),
        targets,
        IdTokens(issuers),
        accounts,
        now,
    )
    callbacks = ConsentCallbacks(store, completion, targets, issuers, now)
    devices = DeviceProgressReader(store, targets, now)
    device_polling = DevicePolling(store, completion, timeout=settings.provider_timeout)
    pushed = PushedAuthorizations(store, provider, completion, issuers, now)
    refreshing.recovery.add(AttemptKind.code, completion.recover)
    refreshing.recovery.add(AttemptKind.device, device_polling.recover)
    consents = ConsentStart(
        access,
        FirstRequests(
            store,
            OAuth1Start(store, provider, now),
            DeviceAuthorizations(store, provider, now, allow_insecure=insecure),
            pushed,
        ),
        targets,
        issuers,
        public_url=settings.public_url,
        lifetime=timedelta(seconds=settings.consent_lifetime),
        clock=now,
    )
    console_sign_in = ConsoleSignIn(
        store,
        access,
        passwords,
        idle=timedelta(minutes=settings.console_idle_minutes),
        longest=timedelta(hours=settings.console_session_hours),
    )
    rules = CredentialRules(insecure)
    servers = AuthorizationServers(provider, allow_insecure=insecure)
    registrar, renewals = _registrations(store, provider, refreshing, now, allow_insecure=insecure)
    discovery = AuthClientDiscovery(servers, registrar, rules, settings.public_url)
    auth_clients = AuthClients(access, rules, refreshing.settings.schedule.lead, discovery)
    examiner = Examiner(
        provider,
        refreshing.limiter,
        now,
        has_public_url=settings.public_url is not None,
        allow_insecure=insecure,
    )
    documents, steps = ClientDocuments(settings.public_url), _rotation_steps(refreshing)
    resources = ProtectedResources(provider, servers, allow_insecure=insecure)
    connect_links = ConnectLinks(access, consents, targets, now)
    direct_grants = DirectGrants(store, access, provider, refreshing.limiter, allow_insecure=insecure, clock=now)
    secrets = Secrets(store, access, refreshing.fresh, direct_grants, refreshing.settings.schedule, last_use, now)
    components = Components(access, visible_components)
    invites = Invites(access, setup_links)
    webhooks, event_history = Webhooks(access, allow_insecure=insecure), EventHistory(access)
    audit_trail = AuditTrail(access, audit.states, audit.export)
    shown = UseCases(
        tenants=Tenants(access, enqueue_deregistrations_of_tenant, store.keyring),
        users=users,
        contracts=Contracts(access),
        workspaces=Workspaces(access),
        teams=Teams(access),
        invites=invites,
        components=components,
        oauth_clients=OAuthClients(access),
        auth_clients=auth_clients,
        credentials=Credentials(access),
        secrets=secrets,
        flows=Flows(access),
        webhooks=webhooks,
        event_history=event_history,
        consents=consents,
        connect_links=connect_links,
    )
    return Services(
        authentication=authentication,
        own_permissions=OwnPermissions(access),
        installations=InstallationSetup(store, now),
        oauth_clients=shown.oauth_clients,
        auth_clients=auth_clients,
        auth_client_overview=AuthClientOverview(access),
        mcp_servers=McpServers(access, auth_clients, resources, documents, allow_insecure=insecure),
        client_documents=documents,
        auth_client_usage=AuthClientUsageReader(access),
        client_needs=ClientNeeds(access),
        client_attention=ClientAttentionReader(access),
        registrations_by_hand=RegistrationsByHand(access, settings.public_url),
        provider_profiles=ProviderProfiles(),
        client_diagnoses=ClientDiagnoses(access, examiner, settings.public_url, allow_insecure=insecure),
        examiner=examiner,
        consents=consents,
        callbacks=callbacks,
        device_polling=device_polling,
        consent_links=ConsentLinks(store, pushed, devices, now),
        connect_forms=ConnectForms(access),
        own_browser_consents=OwnBrowserConsents(store, access, consents, public_url=settings.public_url, clock=now),
        connect_links=connect_links,
        connect_page=ConnectPage(store, access, consents, devices, public_url=settings.public_url, clock=now),
        connect_themes=ConnectThemes(store, access, public_url=settings.public_url),
        issuers=issuers,
        credentials=shown.credentials,
        secrets=secrets,
        dpop_proofs=DPoPProofs(access, last_use, now, allow_insecure=insecure),
        connections=Connections(access, now),
        connection_checks=ConnectionChecks(store, access, refreshing.fresh, userinfo, introspection),
        fast_reads=FastReads(callers, points, refreshing.settings.schedule, last_use, audit.counter, freezes, now),
        freeze_watch=freezes,
        flows=shown.flows,
        task_keys=TaskKeys(access),
        components=components,
        builds=ComponentBuilds(visible_components),
        environments=ComponentEnvironments(visible_components),
        runtime=RuntimeEnvironments(access),
        tenants=shown.tenants,
        roles=Roles(access),
        contracts=shown.contracts,
        workspaces=shown.workspaces,
        teams=shown.teams,
        members=Members(access),
        invites=invites,
        invite_acceptance=InviteAcceptance(access),
        users=users,
        passwords=passwords,
        console_sign_in=console_sign_in,
        two_step=TwoStep(store, access, console_sign_in),
        single_sign_on=SingleSignOnSettings(access, public_url=settings.public_url, allow_insecure=insecure),
        organisation_sign_in=OrganisationSignIn(
            store,
            access,
            IdentityProvider(provider, issuers, now, allow_insecure=insecure),
            public_url=settings.public_url,
        ),
        account_setup=AccountSetup(store, access, setup_links, passwords),
        place_deletion=PlaceDeletion(access),
        user_deletion=UserDeletion(access, users),
        audit_trail=audit_trail,
        audit_parts=audit,
        grant_reports=GrantReports(access),
        service_accounts=ServiceAccountAdmin(access),
        refreshing=refreshing,
        last_use=last_use,
        key_use=key_use,
        metrics_reader=MetricsReader(
            store, refreshing.limiter, refreshing.journal, spool, open_to_all=settings.metrics_open
        ),
        heartbeat=Heartbeat(store, refreshing, spool, now),
        key_watch=KeyWatch(store),
        operations=build_operations(store, access, now),
        webhooks=webhooks,
        event_history=event_history,
        provider=provider,
        deliverer=Deliverer(store, provider, timeout=settings.provider_timeout),
        revoker=Revoker(store, provider, timeout=settings.provider_timeout),
        mailer=_mailer(store, settings),
        retention=Retention(store, settings.event_retention_days),
        containment=Containment(store, GrantActions(store, provider, refreshing.limiter, refreshing.refresher)),
        rotation_steps=steps,
        secret_rotations=SecretRotations(access, steps),
        rotation_trials=RotationTrials(
            store,
            refreshing.refresher,
            steps,
            SecretProbe(provider, refreshing.limiter),
            lease=6 * settings.provider_timeout,
            public_url=settings.public_url,
            allow_insecure=insecure,
        ),
        secret_reminders=SecretReminders(store),
        registration_renewals=renewals,
        searching=Search(access, Readers(shown).by_kind(), audit_trail),
    )


def _registrations(
    store: Store, provider: ProviderClient, refreshing: RefreshParts, now: Clock, *, allow_insecure: bool
) -> tuple[ClientRegistrar, RegistrationRenewals]:
    """Return what registers clients and renews registrations; recovery settles what a crash leaves of either."""
    registrations = RegistrationJournal(store, provider, refreshing.journal, now, allow_insecure=allow_insecure)
    refreshing.recovery.add(AttemptKind.register, registrations.recover)
    renewals = RegistrationRenewals(store, registrations, refreshing.settings.schedule.lead)
    refreshing.recovery.add(AttemptKind.renew, renewals.recover)
    return ClientRegistrar(provider, registrations), renewals


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


def refresh_settings(settings: Settings) -> RefreshSettings:
    """Return what the settings say about refreshing."""
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


def _rotation_steps(refreshing: RefreshParts) -> RotationSteps:
    chosen = refreshing.settings
    return RotationSteps(refreshing.swaps, chosen.schedule.lead, chosen.old_secret_kept)


def _mailer(store: Store, settings: Settings) -> Mailer | None:
    """Return what sends mail; None where no mail server is set.

    Raises:
        ConfigurationError: the mail server or the sender's address cannot be used.
    """
    if settings.smtp_url is None:
        return None
    server, timeout = mail_server(settings.smtp_url), settings.smtp_timeout
    tls = authorities_of(settings.ca_file).new_context
    client = MailClient(server, tls, timeout=timeout, allow_insecure=settings.allow_insecure_smtp)
    return Mailer(store, client, sender_of(settings.smtp_from), timeout=timeout)
