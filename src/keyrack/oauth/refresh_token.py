"""Refreshing an access token (RFC 6749 section 6)."""

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_auth import Form
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.requests import refresh_of
from keyrack.oauth.scopes import split_scope
from keyrack.oauth.wire import FormRequest


def build_refresh_request(
    profile: ClientProfile, refresh_token: Secret, *, scope: str = "", redirect_uri: str = ""
) -> FormRequest:
    """Return the request that refreshes a token; no `scope` is sent unless the profile asks for it (contract 15.3).

    Args:
        profile: the client and its provider; its `refresh_endpoint` wins over the token endpoint.
        refresh_token: the newest refresh token of the grant.
        scope: what was granted, for providers that want it repeated; empty if it is not known.
        redirect_uri: that of the consent, for providers that want it repeated; empty if it is not known.
    """
    endpoint = profile.refresh_endpoint or profile.token_endpoint
    usual: Form = (("grant_type", "refresh_token"), ("refresh_token", refresh_token.reveal()))
    said = None if profile.provider is None else refresh_of(profile.provider)
    if profile.provider is not None and said is not None:
        scopes = profile.provider.scopes.separator.join(split_scope(scope))
        repeated = (("scope", scopes, said.sends_scope), ("redirect_uri", redirect_uri, said.sends_redirect_uri))
        usual += tuple((name, value) for name, value, is_asked_for in repeated if is_asked_for and value)
    if profile.resource is not None:
        usual = (*usual, ("resource", profile.resource))
    return profile.token_request(endpoint, usual, profile.of_refreshes, said)
