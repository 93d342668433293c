"""Refreshing an access token (RFC 6749 section 6)."""

from keyrack.crypto.secret import Secret
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.requests import as_asked, refresh_of
from keyrack.oauth.wire import FormRequest


def build_refresh_request(profile: ClientProfile, refresh_token: Secret) -> FormRequest:
    """Return the request that refreshes a token; no `scope` is sent (contract section 15.3).

    Args:
        profile: the client and its provider; its `refresh_endpoint` wins over the token endpoint.
        refresh_token: the newest refresh token of the grant.
    """
    endpoint = profile.refresh_endpoint or profile.token_endpoint
    usual = (("grant_type", "refresh_token"), ("refresh_token", refresh_token.reveal()))
    form, authorization = profile.authenticated(usual, profile.refresh_auth_method, endpoint)
    request = FormRequest(endpoint, form, authorization)
    if profile.provider is None:
        return request
    return as_asked(request, refresh_of(profile.provider), profile.placeholders)
