"""Turns settings into the values that use cases take."""

from collections.abc import Mapping
from datetime import timedelta

from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.settings import Settings
from keyrack.store.quota_usage import Quota


def quota_limits(settings: Settings) -> Mapping[Quota, int]:
    """Return what the settings say a tenant may store, by quota; 0: no limit."""
    megabyte = 1024 * 1024
    return {
        Quota.pending_consents: settings.quota_pending_consents,
        Quota.api_keys: settings.quota_api_keys,
        Quota.webhooks: settings.quota_webhooks,
        Quota.secrets: settings.quota_secrets,
        Quota.credentials: settings.quota_credentials,
        Quota.flows: settings.quota_flows,
        Quota.mails: settings.quota_mails,
        Quota.other_rows: settings.quota_other_rows,
        Quota.document_bytes: settings.quota_document_megabytes * megabyte,
    }


def schedule(settings: Settings) -> Schedule:
    """Return when secrets are refreshed, and failed refreshes tried again."""
    return Schedule(
        lead=timedelta(seconds=settings.refresh_lead),
        first_retry=timedelta(seconds=settings.refresh_retry),
        give_up=timedelta(hours=settings.refresh_give_up),
    )
