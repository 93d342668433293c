"""Builds the use cases about the installation: set up, watched, and telling others what happened."""

from dataclasses import dataclass

from keyrack.mail.message import sender_of
from keyrack.mail.smtp import MailClient, mail_server
from keyrack.provider.trust import authorities_of
from keyrack.service.audit.log import AuditTrail
from keyrack.service.jobs.retention import Retention
from keyrack.service.mail.mailer import Mailer
from keyrack.service.operator.heartbeat import Heartbeat
from keyrack.service.operator.installation import InstallationSetup
from keyrack.service.operator.key_watch import KeyWatch
from keyrack.service.operator.metrics import MetricsReader
from keyrack.service.operator.operations import Operations, build_operations
from keyrack.service.webhooks.delivery import Deliverer
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import Webhooks
from keyrack.settings import Settings
from keyrack.store.core.store import Store
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class OperatingServices:
    """The use cases about the installation."""

    installations: InstallationSetup
    operations: Operations
    metrics_reader: MetricsReader
    heartbeat: Heartbeat
    key_watch: KeyWatch
    audit_trail: AuditTrail
    webhooks: Webhooks
    event_history: EventHistory
    deliverer: Deliverer
    mailer: Mailer | None
    """None where no mail server is set."""
    retention: Retention


def build_operating(shared: Shared) -> OperatingServices:
    """Build them.

    Raises:
        ConfigurationError: the mail server or the sender's address cannot be used.
    """
    store, access, settings, refreshing = shared.store, shared.access, shared.settings, shared.refreshing
    return OperatingServices(
        installations=InstallationSetup(store, shared.now),
        operations=build_operations(store, access, shared.now),
        metrics_reader=MetricsReader(
            store, refreshing.limiter, refreshing.journal, shared.spool, open_to_all=settings.metrics_open
        ),
        heartbeat=Heartbeat(store, refreshing, shared.spool, shared.now),
        key_watch=KeyWatch(store),
        audit_trail=AuditTrail(access, shared.audit.states, shared.audit.export),
        webhooks=Webhooks(access, allow_insecure=shared.allow_insecure),
        event_history=EventHistory(access),
        deliverer=Deliverer(store, shared.provider, timeout=settings.provider_timeout),
        mailer=_mailer(store, settings),
        retention=Retention(store, settings.event_retention_days),
    )


def _mailer(store: Store, settings: Settings) -> Mailer | None:
    if settings.smtp_url is None:
        return None
    server, timeout = mail_server(settings.smtp_url), settings.smtp_timeout
    tls = authorities_of(settings.ca_file).new_context
    client = MailClient(server, tls, timeout=timeout, allow_insecure=settings.allow_insecure_smtp)
    return Mailer(store, client, sender_of(settings.smtp_from), timeout=timeout)
