"""Builds the use cases about clients at providers: found, registered, diagnosed, and their secrets rotated."""

from dataclasses import dataclass
from datetime import timedelta

from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_client_overview import AuthClientOverview
from keyrack.service.clients.auth_client_usage import AuthClientUsageReader
from keyrack.service.clients.auth_clients import AuthClients
from keyrack.service.clients.client_attention import ClientAttentionReader
from keyrack.service.clients.oauth_clients import OAuthClients
from keyrack.service.clients.provider_profiles import ProviderProfiles
from keyrack.service.clients.secret_reminders import SecretReminders
from keyrack.service.consents.registration_by_hand import RegistrationsByHand
from keyrack.service.deleted_clients.purging import ClientPurge
from keyrack.service.deleted_clients.restoring import ClientRestoring
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
from keyrack.service.rotation.secret_probe import SecretProbe
from keyrack.service.rotation.secret_rotations import SecretRotations
from keyrack.service.rotation.steps import RotationSteps
from keyrack.service.rotation.trials import RotationTrials
from keyrack.store.attempts import AttemptKind
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class ClientServices:
    """The use cases about clients at providers."""

    oauth_clients: OAuthClients
    auth_clients: AuthClients
    auth_client_overview: AuthClientOverview
    auth_client_usage: AuthClientUsageReader
    client_attention: ClientAttentionReader
    provider_profiles: ProviderProfiles
    client_documents: ClientDocuments
    mcp_servers: McpServers
    registrations_by_hand: RegistrationsByHand
    registration_renewals: RegistrationRenewals
    examiner: Examiner
    client_diagnoses: ClientDiagnoses
    secret_reminders: SecretReminders
    rotation_steps: RotationSteps
    secret_rotations: SecretRotations
    rotation_trials: RotationTrials
    deleted_clients: ClientRestoring
    client_purge: ClientPurge


def build_clients(shared: Shared) -> ClientServices:
    """Build them; recovery settles what a crash leaves of a registration or a renewal."""
    store, access, provider, refreshing = shared.store, shared.access, shared.provider, shared.refreshing
    public_url, insecure, lead = shared.settings.public_url, shared.allow_insecure, refreshing.settings.schedule.lead
    registrations = RegistrationJournal(store, provider, refreshing.journal, shared.now, allow_insecure=insecure)
    refreshing.recovery.add(AttemptKind.register, registrations.recover)
    renewals = RegistrationRenewals(store, registrations, lead)
    refreshing.recovery.add(AttemptKind.renew, renewals.recover)
    rules, servers = CredentialRules(insecure), AuthorizationServers(provider, allow_insecure=insecure)
    registrar = ClientRegistrar(provider, registrations)
    kept_for = timedelta(days=shared.settings.deleted_client_days)
    discovery = AuthClientDiscovery(servers, registrar, rules, public_url)
    auth_clients = AuthClients(access, rules, lead, discovery, kept_for)
    documents = ClientDocuments(public_url)
    resources = ProtectedResources(provider, servers, allow_insecure=insecure)
    examiner = Examiner(
        provider, refreshing.limiter, shared.now, has_public_url=public_url is not None, allow_insecure=insecure
    )
    steps = RotationSteps(refreshing.swaps, lead, refreshing.settings.old_secret_kept)
    return ClientServices(
        oauth_clients=OAuthClients(access, kept_for),
        auth_clients=auth_clients,
        auth_client_overview=AuthClientOverview(access),
        auth_client_usage=AuthClientUsageReader(access),
        client_attention=ClientAttentionReader(access),
        provider_profiles=ProviderProfiles(),
        client_documents=documents,
        mcp_servers=McpServers(access, auth_clients, resources, documents, allow_insecure=insecure),
        registrations_by_hand=RegistrationsByHand(access, public_url),
        registration_renewals=renewals,
        examiner=examiner,
        client_diagnoses=ClientDiagnoses(access, examiner, public_url, allow_insecure=insecure),
        secret_reminders=SecretReminders(store),
        rotation_steps=steps,
        secret_rotations=SecretRotations(access, steps),
        rotation_trials=RotationTrials(
            store,
            refreshing.refresher,
            steps,
            SecretProbe(provider, refreshing.limiter),
            lease=6 * shared.settings.provider_timeout,
            public_url=public_url,
            allow_insecure=insecure,
        ),
        deleted_clients=ClientRestoring(access),
        client_purge=ClientPurge(store),
    )
