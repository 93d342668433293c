"""Token introspection (RFC 7662): whether an access token works, and whose it is."""

from collections.abc import Iterable, Mapping
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.refusal import refusal
from keyrack.oauth.token_response import members_of, require_available, require_sound
from keyrack.oauth.wire import FormRequest, RawResponse

_OK = 200
_CANNOT_TELL = "The authorization server does not say whether the token works"


def build_introspection_request(profile: ClientProfile, endpoint: str, token: Secret) -> FormRequest:
    """Return the request that asks about an access token (RFC 7662 section 2.1).

    Args:
        profile: the client, which authenticates as at the token endpoint unless its provider's profile says otherwise.
        endpoint: the introspection endpoint, its own query kept.
        token: that is asked about.

    Raises:
        UnusableKeyError: the client's key does not go with the algorithm.
    """
    asked = (("token", token.reveal()), ("token_type_hint", "access_token"))
    form, authorization = profile.authenticated(asked, endpoint, profile.of_introspections)
    request = FormRequest(endpoint, form, authorization, certificate=profile.certificate)
    said = None if profile.provider is None else profile.provider.introspection
    return request if said is None else as_asked(request, said, profile.placeholders)


def process_introspection_response(response: RawResponse, sent: Iterable[Secret] = ()) -> Mapping[str, Any]:
    """Return the members of an answer, of which `active` is a boolean (RFC 7662 section 2.2).

    Args:
        response: what came back.
        sent: secrets of the request; masked should the server echo one in its error text.

    Raises:
        ProviderUnavailable: 429 or 5xx, or nothing can be read.
        ProviderError: anything else that does not tell, such as a refusal of the client; it says nothing of the token.
    """
    require_available(response)
    members = members_of(response).values
    if response.status != _OK:
        raise refusal(response, members, _CANNOT_TELL, tuple(sent))
    if not isinstance(members.get("active"), bool):
        require_sound(response)
        raise ProviderError(f"{_CANNOT_TELL}.", ProviderFailure(status=response.status))
    return members
