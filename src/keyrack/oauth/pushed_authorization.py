"""Pushed authorization requests (RFC 9126): the parameters go to the server first, the browser carries a reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyrack.crypto.secret import Secret
from keyrack.oauth.authorization_code import authorization_url
from keyrack.oauth.masking import masked
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.provider_text import has_controls
from keyrack.oauth.refusal import refusal
from keyrack.oauth.token_response import may_be_success, members_of, parse_lifetime, require_available, require_sound
from keyrack.oauth.wire import FormRequest, RawResponse

USUAL_LIFETIME = 60
"""Seconds that a `request_uri` lives where the server does not say, though it has to (RFC 9126 section 2.2)."""

_LONGEST_URI = 2000
_CLIENT_ID = "client_id"


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """What a server answers to a pushed request (RFC 9126 section 2.2).

    Attributes:
        request_uri: stands for the parameters, once.
        expires_in: seconds that it can be used.
    """

    request_uri: str
    expires_in: int


def build_pushed_request(profile: ClientProfile, endpoint: str, parameters: Mapping[str, str]) -> FormRequest:
    """Return the request that pushes the parameters of an authorization request (RFC 9126 section 2.1).

    The client authenticates as at the token endpoint; one that signs names that endpoint as the audience, which every
    server has to take (section 2).

    Args:
        profile: the client and its provider.
        endpoint: where to.
        parameters: from `authorization_parameters`; `client_id` among them, whatever the provider calls it.

    Raises:
        UnusableKeyError: the client signs, and its key does not go with the algorithm.
    """
    proof, authorization = profile.authenticated((), profile.token_endpoint, profile.of_codes)
    pushed = tuple({**parameters, **dict(proof)}.items())
    return FormRequest(endpoint, pushed, authorization, certificate=profile.certificate)


def process_pushed_response(response: RawResponse, sent: Iterable[Secret] = ()) -> PushedRequest:
    """Interpret the answer to a pushed request (RFC 9126 sections 2.2 and 2.3).

    Args:
        response: what came back.
        sent: secrets of the request; masked should the server echo one.

    Raises:
        ProviderUnavailable: 408, 425, 429 or 5xx, or an answer that is not complete.
        ProviderError: everything else without a usable `request_uri`, as `keyrack.oauth.refusal.refusal` tells it.
    """
    sent = tuple(sent)
    require_available(response)
    answered = members_of(response)
    members = answered.values
    if not may_be_success(response) or members.get("error"):
        raise refusal(response, members, "The authorization server refused the pushed authorization request", sent)
    request_uri = members.get("request_uri")
    if answered.cut or not isinstance(request_uri, str) or not _usable(request_uri, sent):
        require_sound(response)
        raise refusal(response, members, "The authorization server answered without a usable request_uri", sent)
    return PushedRequest(request_uri, parse_lifetime(members.get("expires_in")) or USUAL_LIFETIME)


def pushed_authorization_url(profile: ClientProfile, request_uri: str) -> str:
    """Return the address that the browser is sent to: with nothing but `client_id` and `request_uri` (section 4)."""
    rename = {} if profile.provider is None else profile.provider.authorization.rename
    return authorization_url(
        profile, {rename.get(_CLIENT_ID, _CLIENT_ID): profile.client_id, "request_uri": request_uri}
    )


def _usable(request_uri: str, sent: Iterable[Secret]) -> bool:
    """Tell whether a text can go into an address that a browser is sent to: none of our secrets does."""
    bounded = 0 < len(request_uri) <= _LONGEST_URI and not has_controls(request_uri)
    return bounded and masked(request_uri, sent) == request_uri
