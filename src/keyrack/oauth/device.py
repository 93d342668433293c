"""The device authorization grant (RFC 8628): a person enters a code on any device while we ask for the tokens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth.authorization_code import further
from keyrack.oauth.client_auth import Form
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.requests import with_parameters, with_scopes
from keyrack.oauth.provider_text import has_controls, printable
from keyrack.oauth.refusal import refusal
from keyrack.oauth.token_response import may_be_success, members_of, parse_lifetime, require_available, require_sound
from keyrack.oauth.wire import FormRequest, RawResponse

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

INTERVAL = 5
"""Seconds between two polls where the server does not say (RFC 8628 section 3.2); and what `slow_down` adds (RFC 8628
section 3.5)."""
USUAL_LIFETIME = 600
"""Seconds that a code lives where the server does not say, though it has to (RFC 8628 section 3.2)."""
LONGEST_INTERVAL = 300
"""Seconds; a longer interval is taken as this one."""
LONGEST_BACK_OFF = 120
"""Seconds between two polls of a server that does not answer, unless its interval is longer."""

_PENDING, _SLOW_DOWN = "authorization_pending", "slow_down"
_MOST_DOUBLINGS = 10
_LONGEST_CODE, _LONGEST_URI = 100, 2000
"""In UTF-8: pages show the address as a QR code, which has room for so many bytes."""


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """What a server answers to a device authorization request (RFC 8628 section 3.2).

    Attributes:
        device_code: with which we ask for the tokens.
        user_code: what the person enters.
        verification_uri: where.
        verification_uri_complete: the same with the code in it, if there is one.
        expires_in: seconds until both codes end.
        interval: seconds between two polls at least.
    """

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: int
    interval: int


def build_device_authorization_request(
    profile: ClientProfile, endpoint: str, *, scope: str = "", extra: Mapping[str, str] | None = None
) -> FormRequest:
    """Return the request for a device code and a user code (RFC 8628 section 3.1).

    The client authenticates as at the token endpoint. What the provider's profile says of authorization requests, its
    parameters and names for the usual ones, is said of this one.

    Args:
        profile: the client and its provider.
        endpoint: where to.
        scope: sent verbatim unless the profile writes scopes otherwise; left out when empty.
        extra: further parameters; reserved names, and those that are there, are ignored.

    Raises:
        UnusableKeyError: the client signs, and its key does not go with the algorithm.
    """
    usual = {"scope": scope} if scope else {}
    if profile.resource is not None:
        usual["resource"] = profile.resource
    if profile.provider is not None:
        usual = with_scopes(usual, profile.provider.scopes)
    form, authorization = profile.authenticated(tuple(usual.items()), profile.token_endpoint, profile.of_codes)
    sent = dict(form)
    if profile.provider is not None:
        said = profile.provider.authorization
        sent = with_parameters(sent, said.parameters, said.rename, profile.placeholders)
    sent |= further(extra or {}, sent.keys() | dict(form).keys())
    return FormRequest(endpoint, tuple(sent.items()), authorization, certificate=profile.certificate)


def process_device_authorization_response(response: RawResponse, sent: Iterable[Secret] = ()) -> DeviceAuthorization:
    """Interpret the answer to a device authorization request (RFC 8628 section 3.2).

    `verification_url` is taken too, as some servers of before the RFC call it.

    Args:
        response: what came back.
        sent: secrets of the request; masked should the server echo one in its error text.

    Raises:
        ProviderUnavailable: 408, 425, 429 or 5xx, or an answer that is not complete.
        ProviderError: everything else without usable codes, as `keyrack.oauth.refusal.refusal` tells it.
    """
    sent = tuple(sent)
    require_available(response)
    answered = members_of(response)
    members = answered.values
    if not may_be_success(response) or members.get("error"):
        raise refusal(response, members, "The authorization server refused the device authorization request", sent)
    device_code, user_code = members.get("device_code"), _shown(members.get("user_code"), _LONGEST_CODE, sent)
    uri = _address(members.get("verification_uri") or members.get("verification_url"), sent)
    usable = isinstance(device_code, str) and device_code.strip() and not has_controls(device_code)
    if answered.cut or not usable or user_code is None or uri is None:
        require_sound(response)
        raise ProviderError("The authorization server answered without usable codes for a device.")
    interval = parse_lifetime(members.get("interval")) or INTERVAL
    return DeviceAuthorization(
        Secret(str(device_code)),
        user_code,
        uri,
        _address(members.get("verification_uri_complete"), sent),
        parse_lifetime(members.get("expires_in")) or USUAL_LIFETIME,
        min(interval, LONGEST_INTERVAL),
    )


def build_device_token_request(profile: ClientProfile, device_code: Secret) -> FormRequest:
    """Return the request that asks whether there are tokens yet (RFC 8628 section 3.4)."""
    asked: Form = (("grant_type", GRANT_TYPE), ("device_code", device_code.reveal()))
    if profile.resource is not None:
        asked = (*asked, ("resource", profile.resource))
    said = None if profile.provider is None else profile.provider.token
    return profile.token_request(profile.token_endpoint, asked, profile.of_codes, said)


def interval_after(error: ProviderError, interval: int) -> int | None:
    """Return the seconds to wait from now on after a refusal; None if it is final (RFC 8628 section 3.5).

    Args:
        error: what the token endpoint answered.
        interval: what was waited until now.
    """
    codes = {code.strip().lower() for code in error.failure.codes}
    if _SLOW_DOWN in codes:
        return min(interval + INTERVAL, max(interval, LONGEST_INTERVAL))
    return interval if _PENDING in codes else None


def wait_after_failures(interval: int, failures: int) -> int:
    """Return the seconds to wait for a server that did not answer: twice as long each time (RFC 8628 section 3.5).

    Args:
        interval: between two polls.
        failures: in a row, at least 1.
    """
    return min(interval << min(failures, _MOST_DOUBLINGS), max(interval, LONGEST_BACK_OFF))


def _shown(value: object, longest: int, sent: Iterable[Secret]) -> str | None:
    """Return a text that a person is shown as it is; None if it cannot be one, or has one of our secrets in it."""
    text = value.strip() if isinstance(value, str) else ""
    size = len(text.encode("utf-8", "replace"))
    return text if 0 < size <= longest and printable(text, longest, sent) == text else None


def _address(value: object, sent: Iterable[Secret]) -> str | None:
    text = _shown(value, _LONGEST_URI, sent)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in {"https", "http"} and parts.hostname and "@" not in parts.netloc else None
