"""Calls a provider and counts the call."""

import time

from keyrack import metrics
from keyrack.errors import ProviderUnavailable
from keyrack.oauth.wire import FormRequest, JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import BeforeSending, ProviderClient
from keyrack.service.clients.auth_client_profile import origin_of


async def send(
    provider: ProviderClient,
    request: FormRequest | QueryRequest | JsonRequest,
    before_sending: BeforeSending | None = None,
    *,
    tenant_id: str,
) -> RawResponse:
    """Send a request for a tenant, as `ProviderClient.send`, and count it by the provider's origin and outcome."""
    began, outcome = time.monotonic(), "called_off"
    try:
        answer = await provider.send(request, before_sending, tenant_id=tenant_id)
        outcome = "answered" if answer.fault is None else answer.fault.value
    except ProviderUnavailable as error:
        outcome = str(error.failure.exact_reason or error.failure.reason)
        raise
    finally:
        metrics.provider_called(origin_of(request.url), outcome, time.monotonic() - began)
    return answer
