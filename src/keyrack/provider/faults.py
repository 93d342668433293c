"""Faults of calling an authorization server, and whether it may have seen the request."""

import ssl
from enum import StrEnum

import aiohttp

from keyrack.errors import ProviderFailure, ProviderUnavailable
from keyrack.oauth.wire import ANSWER_FAULTS, AnswerFault
from keyrack.provider.address_guard import ForbiddenAddressError


class Reason(StrEnum):
    """Why there is no answer; `reason` of the error's failure.

    `DNS` and `FORBIDDEN_ADDRESS` are told to operators only: whoever chooses the name would learn from the difference
    which names exist inside our network. Both are `ADDRESS` in the error.
    """

    ADDRESS = "address"
    TIMEOUT = AnswerFault.TIMEOUT.value
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    CLOSED = AnswerFault.CLOSED.value
    FORBIDDEN_ADDRESS = "forbidden_address"
    PROTOCOL = AnswerFault.PROTOCOL.value


_TEXTS = {
    Reason.ADDRESS: "The authorization server's name does not resolve, or its address is not one that may be called.",
    Reason.TIMEOUT: ANSWER_FAULTS[AnswerFault.TIMEOUT],
    Reason.CONNECT: "No connection to the authorization server could be made.",
    Reason.TLS: "No secure connection to the authorization server could be made.",
    Reason.CLOSED: ANSWER_FAULTS[AnswerFault.CLOSED],
    Reason.PROTOCOL: ANSWER_FAULTS[AnswerFault.PROTOCOL],
}


_TOLD_AS_ADDRESS = (Reason.DNS, Reason.FORBIDDEN_ADDRESS)


def unavailable(reason: Reason, *, sent: bool) -> ProviderUnavailable:
    """Return the error for a call without an answer.

    Args:
        reason: what went wrong.
        sent: False only if it is certain that no byte of the request was written.

    Returns:
        The error; its text is fixed and its failure has `reason`, `exact_reason` and `sent` only, so nothing of the
        request or the answer is in it. What a name resolves to is in neither.
    """
    told = Reason.ADDRESS if reason in _TOLD_AS_ADDRESS else reason
    failure = ProviderFailure(reason=told.value, exact_reason=reason.value, sent=sent)
    return ProviderUnavailable(_TEXTS[told], failure)


def may_have_been_sent(error: ProviderUnavailable) -> bool:
    """Tell whether the authorization server may have acted on the request; True where nothing is known."""
    return error.failure.sent is not False


def answer_fault(reason: Reason | None) -> AnswerFault | None:
    """Return what a fault of a call makes of an answer that had begun."""
    if reason is None:
        return None
    return AnswerFault(reason.value) if reason in {Reason.TIMEOUT, Reason.CLOSED} else AnswerFault.PROTOCOL


def fault_reason(error: Exception) -> Reason:
    """Return the reason behind an exception that the HTTP client raised."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ForbiddenAddressError):
        return Reason.FORBIDDEN_ADDRESS
    # The order matters: aiohttp's classes inherit from each other and from `OSError`.
    for kinds, reason in _KINDS:
        if isinstance(error, kinds):
            return reason
    return Reason.PROTOCOL


_KINDS: tuple[tuple[tuple[type[Exception], ...], Reason], ...] = (
    ((TimeoutError,), Reason.TIMEOUT),
    ((aiohttp.ClientConnectorDNSError,), Reason.DNS),
    ((aiohttp.ClientSSLError, ssl.SSLError), Reason.TLS),
    ((aiohttp.ClientConnectorError,), Reason.CONNECT),
    ((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError), Reason.CLOSED),
)
