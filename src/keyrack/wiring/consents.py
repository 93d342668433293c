"""Builds the use cases about consents: from the first request to the tokens, and the pages that lead people there."""

from dataclasses import dataclass
from datetime import timedelta

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
from keyrack.service.consents.secret_handler import SecretHandler
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import ConsentHandlers
from keyrack.store.attempts import AttemptKind
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class ConsentServices:
    """The use cases about consents."""

    consents: ConsentStart
    callbacks: ConsentCallbacks
    device_polling: DevicePolling
    consent_links: ConsentLinks
    own_browser_consents: OwnBrowserConsents
    connect_forms: ConnectForms
    connect_links: ConnectLinks
    connect_page: ConnectPage
    connect_themes: ConnectThemes


def build_consents(shared: Shared) -> ConsentServices:
    """Build them; recovery settles what a crash leaves of an answer to a code or a poll."""
    store, access, provider, now = shared.store, shared.access, shared.provider, shared.now
    settings, insecure, refreshing, issuers = shared.settings, shared.allow_insecure, shared.refreshing, shared.issuers
    targets = ConsentHandlers(
        credentials=CredentialHandler(ConsentPlanner(allow_insecure=insecure)),
        secrets=SecretHandler(refreshing.settings.schedule, allow_insecure=insecure),
    )
    completion = ConsentCompletion(
        store,
        access,
        refreshing.journal,
        LongLivedTokens(provider),
        targets,
        IdTokens(issuers),
        ProviderAccounts(shared.userinfo, issuers, shared.after_connecting),
        now,
    )
    devices = DeviceProgressReader(store, targets, now)
    device_polling = DevicePolling(store, completion, timeout=settings.provider_timeout)
    refreshing.recovery.add(AttemptKind.code, completion.recover)
    refreshing.recovery.add(AttemptKind.device, device_polling.recover)
    pushed = PushedAuthorizations(store, provider, completion, issuers, now)
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
    return ConsentServices(
        consents=consents,
        callbacks=ConsentCallbacks(store, completion, targets, issuers, now),
        device_polling=device_polling,
        consent_links=ConsentLinks(store, pushed, devices, now),
        own_browser_consents=OwnBrowserConsents(store, access, consents, public_url=settings.public_url, clock=now),
        connect_forms=ConnectForms(access),
        connect_links=ConnectLinks(access, consents, targets, now),
        connect_page=ConnectPage(store, access, consents, devices, public_url=settings.public_url, clock=now),
        connect_themes=ConnectThemes(store, access, public_url=settings.public_url),
    )
