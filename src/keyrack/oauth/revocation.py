"""Token revocation (RFC 7009)."""

from urllib.parse import quote

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderFailure, ProviderUnavailable
from keyrack.oauth.client_auth import RequestAuthentication, authenticate
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.answers import as_usual, says_failure
from keyrack.oauth.profiles.kinds import TokenTypeHint
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.profiles.templates import TOKEN
from keyrack.oauth.refusal import refusal
from keyrack.oauth.retry_after import retry_after
from keyrack.oauth.token_response import members_of, require_sound
from keyrack.oauth.wire import ClientCertificate, FormRequest, RawResponse

_TEMPORARY = frozenset({408, 425, 429})
_GONE_ALREADY = frozenset({"invalid_token", "token_revoked", "token_expired"})
"""What Google and others answer, against RFC 7009 section 2.2, for a token that is not valid any more."""


def build_revocation_request(
    endpoint: str,
    token: Secret,
    hint: TokenTypeHint,
    by: RequestAuthentication,
    client_id: str,
    client_secret: Secret,
    certificate: ClientCertificate | None = None,
) -> FormRequest:
    """Return the request that revokes a token (RFC 7009 section 2.1).

    Revoking a refresh token should also end the access tokens of its grant (RFC 7009 section 2.1); not all do.

    Args:
        endpoint: the revocation endpoint, its own query kept; the token stands for a `{token}` in it.
        token: what is revoked.
        hint: which kind of token it is; a server that does not know the hint looks everywhere.
        by: how the client authenticates: as at the token endpoint, unless its provider's profile says otherwise.
        client_id: the client the token was issued to.
        client_secret: the client's password.
        certificate: what the client shows in TLS, if it has one.

    Raises:
        UnusableKeyError: its key does not go with the algorithm.
    """
    asked = (("token", token.reveal()), ("token_type_hint", hint.value))
    form, authorization = authenticate(asked, by, client_id, client_secret, endpoint)
    address = endpoint.replace(f"{{{TOKEN}}}", quote(token.reveal(), safe=""))
    return FormRequest(address, form, authorization, certificate=certificate)


def revocable_tokens(provider: ProviderProfile | None) -> tuple[TokenTypeHint, ...]:
    """Return the kinds of token that a provider revokes: both, unless its profile says which."""
    return tuple(TokenTypeHint) if provider is None else provider.revocation.tokens or tuple(TokenTypeHint)


def build_client_revocation(profile: ClientProfile, endpoint: str, token: Secret, hint: TokenTypeHint) -> FormRequest:
    """Return the request that revokes a token, as the client's provider wants it.

    Args:
        profile: the client, which authenticates as at the token endpoint unless its provider's profile says otherwise.
        endpoint: as of `build_revocation_request`.
        token: the same.
        hint: the same.

    Raises:
        UnusableKeyError: the client's key does not go with the algorithm.
    """
    by = profile.of_revocations or profile.authentication
    request = build_revocation_request(
        endpoint, token, hint, by, profile.client_id, profile.client_secret, profile.certificate
    )
    if profile.provider is None:
        return request
    return as_asked(request, profile.provider.revocation, {**profile.placeholders, TOKEN: token.reveal()})


def process_revocation_response(
    response: RawResponse, sent: tuple[Secret, ...] = (), provider: ProviderProfile | None = None
) -> None:
    """Make sure that a token is revoked (RFC 7009 section 2.2).

    The body of a success means nothing, unless the provider's profile says how an error looks in one (`fails_where`).

    The server also answers 200 for a token that it does not know: what is wanted has been reached. Some refuse instead
    and say so.

    Args:
        response: what came back.
        sent: secrets of the request; masked should the server echo one in its error text.
        provider: where the provider's answers have what others have elsewhere.

    Raises:
        ProviderUnavailable: 408, 425, 429 or 5xx: the token may still work, and trying again may help (section 2.2.1);
            `failure` has `status` and, if asked for, `retry_after` in seconds. Or no status of the answer can be read.
        ProviderError: everything else that is not 2xx, such as `unsupported_token_type`; `failure` has `status` and, as
            far as sent, `error`, `error_description` and `error_uri`.
    """
    success = 200 <= response.status < 300  # noqa: PLR2004 - HTTP's success
    members = members_of(response).values
    if success and (provider is None or not says_failure(members, provider.answer)):
        return
    if response.status in _TEMPORARY or response.status >= 500:  # noqa: PLR2004 - HTTP's server errors
        failure = ProviderFailure(status=response.status, retry_after=retry_after(response.headers))
        raise ProviderUnavailable("The authorization server cannot revoke tokens now.", failure)
    if not response.status:
        require_sound(response)
    if provider is not None:
        members = as_usual(members, provider.answer)
    refused = refusal(response, members, "The authorization server refused to revoke the token", sent)
    if _GONE_ALREADY.isdisjoint(code.lower() for code in refused.failure.codes):
        raise refused
