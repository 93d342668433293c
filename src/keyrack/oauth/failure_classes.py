"""Classifies failed token requests, a provider's 401 among them (contract sections 0.13 and 0.24)."""

import re
from collections.abc import Collection, Iterator

from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.error_codes import AT_HOSTS, CLIENT_ALONE, EVERYWHERE, LIMITED, FailureClass, Own
from keyrack.oauth.refusal import MEANINGLESS, NOT_THERE

__all__ = ["FailureClass", "blames_client_alone", "classify_failure"]

_UNAUTHORIZED = 401
_REDIRECTS = range(300, 400)
_ERRORS = range(400, 500)
_NOT_WORD = re.compile(r"[\s\-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def classify_failure(
    error: ProviderError | ProviderUnavailable, host: str = "", final: Collection[str] = ()
) -> FailureClass:
    """Return the class of a failure that `process_token_response` reported.

    A known code counts, the provider's own before everybody's. RFC 6749 section 5.2 keeps status 401 for rejected
    clients, so a 401 without a code is one. What comes from a wrong address or a firewall (redirects, 404, 405, 410,
    web pages) says nothing of the grant. A bare 400 or 403, `invalid_request` and unknown codes are ambiguous in the
    wild (dead refresh token, bad secret) and stay `OTHER`.

    Args:
        error: what was reported.
        host: of the token endpoint, for codes that only its provider uses.
        final: codes after which only a new consent helps, by the provider's profile; as they are sent.
    """
    if isinstance(error, ProviderUnavailable):
        return FailureClass.TEMPORARY
    failure = error.failure
    codes, text = list(_codes(failure)), (failure.error_description or "").lower()
    known = _known(codes, text, host, {_form(code) for code in final})
    if known is not None:
        return known
    if any(limit in text for limit in LIMITED):
        return FailureClass.TEMPORARY
    status = failure.status
    if status == _UNAUTHORIZED:
        return FailureClass.OTHER if codes else FailureClass.CLIENT_REJECTED
    elsewhere = status in _REDIRECTS or (status in NOT_THERE and not codes)
    return FailureClass.NO_ENDPOINT if elsewhere or (failure.is_page and status in _ERRORS) else FailureClass.OTHER


def _known(codes: Collection[str], text: str, host: str, final: Collection[str]) -> FailureClass | None:
    """Return what codes are known to mean: to this provider, then to everybody."""
    if not set(final).isdisjoint(codes):
        return FailureClass.GRANT_DEAD
    for own in _own_of(host):
        if own.code in codes and own.text in text:
            return own.means
    return next((EVERYWHERE[code] for code in codes if code in EVERYWHERE), None)


def blames_client_alone(error: ProviderError) -> bool:
    """Tell whether a rejected client (`CLIENT_REJECTED`) is at fault whichever grant it was sent with.

    A bare 401, and `unauthorized_client`, are also what some servers say of a single refresh token, for instance of
    one that was issued to another client.
    """
    return any(code in CLIENT_ALONE for code in _codes(error.failure))


def _codes(failure: ProviderFailure) -> Iterator[str]:
    """Yield what may be codes, in the form of `EVERYWHERE`."""
    for code in failure.codes or (failure.error or "",):
        if code and code.lower() not in MEANINGLESS:
            yield _form(code)


def _form(code: str) -> str:
    """Return a code in the form of `EVERYWHERE`."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", code.strip())).lower()


def _own_of(host: str) -> Iterator[Own]:
    """Yield what is known of a host's provider, by the domains that it is in."""
    labels = host.lower().rstrip(".").split(".")
    for start in range(len(labels)):
        yield from AT_HOSTS.get(".".join(labels[start:]), ())
