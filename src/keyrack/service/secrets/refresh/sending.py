"""Calls a provider, with a proof of possession where tokens are bound to a key, and counts the call."""

import time
from dataclasses import replace

from keyrack import clock, metrics, tracing
from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderUnavailable
from keyrack.oauth.dpop import HEADER, TOKEN_TYPE, asks_for_nonce, new_proof, nonce_of
from keyrack.oauth.wire import FormRequest, JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import BeforeSending, ProviderClient
from keyrack.service.clients.auth_client_profile import origin_of

_WithProof = FormRequest | QueryRequest


async def send(
    provider: ProviderClient,
    request: _WithProof | JsonRequest,
    before_sending: BeforeSending | None = None,
    *,
    tenant_id: str,
) -> RawResponse:
    """Send a request for a tenant, as `ProviderClient.send`, and count it by the provider's origin and outcome.

    One with a `proof_key` carries a proof. A server that did not process it because it wants its nonce in the proof
    (RFC 9449 section 8) is sent it once more, in what is left of the call's time; `before_sending` then runs again.

    Raises:
        As `ProviderClient.send`. What is told of whether it was sent is about the last time; the time before, it was
        not processed.
    """
    if isinstance(request, JsonRequest) or request.proof_key is None:
        return await _sent(provider, request, before_sending, tenant_id)
    began, origin = time.monotonic(), origin_of(request.url)
    answer = await _sent(provider, _proven(provider, request, tenant_id), before_sending, tenant_id)
    _remember(provider, answer, tenant_id, origin)
    if asks_for_nonce(answer):
        if isinstance(request, FormRequest) and request.anew is not None:
            request = request.anew()
        again, left = _proven(provider, request, tenant_id), began + provider.timeout - time.monotonic()
        answer = await _sent(provider, again, before_sending, tenant_id, left)
        _remember(provider, answer, tenant_id, origin)
    return answer


def _proven(provider: ProviderClient, request: _WithProof, tenant_id: str) -> _WithProof:
    """Return a request with a proof, made for this one time."""
    if request.proof_key is None:
        return request
    nonce = provider.dpop_nonces.newest(tenant_id, origin_of(request.url))
    scheme, _, value = ("" if request.authorization is None else request.authorization.reveal()).partition(" ")
    token = Secret(value) if scheme == TOKEN_TYPE else None
    proof = new_proof(request.proof_key, request.method, request.url, clock.now(), nonce=nonce, access_token=token)
    return replace(request, headers=(*request.headers, (HEADER, proof)))


def _remember(provider: ProviderClient, answer: RawResponse, tenant_id: str, origin: str) -> None:
    nonce = nonce_of(answer)
    if nonce is not None:
        provider.dpop_nonces.remember(tenant_id, origin, nonce)


async def _sent(
    provider: ProviderClient,
    request: _WithProof | JsonRequest,
    before_sending: BeforeSending | None,
    tenant_id: str,
    seconds: float | None = None,
) -> RawResponse:
    began, outcome, origin = time.monotonic(), "called_off", origin_of(request.url)
    with tracing.span("call the provider", tracing.server(origin), calls_out=True) as span:
        try:
            answer = await provider.send(request, before_sending, tenant_id=tenant_id, seconds=seconds)
            outcome = "answered" if answer.fault is None else answer.fault.value
            span.note({"http.response.status_code": answer.status})
        except ProviderUnavailable as error:
            outcome = str(error.failure.exact_reason or error.failure.reason)
            raise
        finally:
            span.note({"keyrack.call.outcome": outcome})
            metrics.provider_called(origin, tenant_id, outcome, time.monotonic() - began)
    return answer
