"""What can go wrong while calling an authorization server, and whether it may have seen the request."""

import ssl
from enum import StrEnum

import aiohttp

from keyrack.errors import ProviderUnavailable
from keyrack.oauth.wire import ANSWER_FAULTS, AnswerFault
from keyrack.provider.addresses import ForbiddenAddressError


class Reason(StrEnum):
    """Why there is no answer; `meta["reason"]` of the error."""

    TIMEOUT = AnswerFault.TIMEOUT.value
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    CLOSED = AnswerFault.CLOSED.value
    FORBIDDEN_ADDRESS = "forbidden_address"
    PROTOCOL = AnswerFault.PROTOCOL.value


_TEXTS = {
    Reason.TIMEOUT: ANSWER_FAULTS[AnswerFault.TIMEOUT],
    Reason.DNS: "The host name of the authorization server could not be resolved.",
    Reason.CONNECT: "No connection to the authorization server could be made.",
    Reason.TLS: "No secure connection to the authorization server could be made.",
    Reason.CLOSED: ANSWER_FAULTS[AnswerFault.CLOSED],
    Reason.FORBIDDEN_ADDRESS: "The authorization server is at a local, private or reserved address.",
    Reason.PROTOCOL: ANSWER_FAULTS[AnswerFault.PROTOCOL],
}


def unavailable(reason: Reason, *, sent: bool) -> ProviderUnavailable:
    """Return the error for a call without an answer.

    Args:
        reason: what went wrong.
        sent: False only if it is certain that no byte of the request was written.

    Returns:
        The error; its text is fixed and its `meta` is `{"reason": str, "sent": bool}`, so nothing of the request or
        the answer is in it.
    """
    return ProviderUnavailable(_TEXTS[reason], meta={"reason": reason.value, "sent": sent})


def may_have_been_sent(error: ProviderUnavailable) -> bool:
    """Tell whether the authorization server may have acted on the request; True where nothing is known."""
    return bool((error.meta or {}).get("sent", True))


def answer_fault(reason: Reason | None) -> AnswerFault | None:
    """Return what a fault of a call makes of an answer that had begun."""
    if reason is None:
        return None
    return AnswerFault(reason.value) if reason in {Reason.TIMEOUT, Reason.CLOSED} else AnswerFault.PROTOCOL


def classify(error: Exception) -> Reason:
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
