"""Says what a provider profile adds to the requests of OAuth 1.0a (RFC 5849 section 2)."""

from collections.abc import Mapping

from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import AuthorizationRequest, OAuth1
from keyrack.oauth.profiles.requests import with_parameters, with_query, with_scopes
from keyrack.oauth.profiles.templates import filled


def temporary_credentials_address(profile: ProviderProfile, values: Mapping[str, str]) -> str:
    """Return where temporary credentials are asked for, the profile's own parameters in the query; empty: nowhere.

    Args:
        profile: of the provider.
        values: for placeholders.
    """
    endpoint = filled(profile.endpoints.temporary_credentials or (), values)
    said = profile.oauth1 or OAuth1()
    own = with_parameters({}, said.request_parameters, {}, values)
    return with_query(endpoint, own, AuthorizationRequest()) if endpoint and own else endpoint or ""


def authorization_extras(profile: ProviderProfile, values: Mapping[str, str]) -> dict[str, str]:
    """Return what the address has beside the token that the user's browser is sent to.

    Args:
        profile: of the provider.
        values: for placeholders.
    """
    usual = with_scopes({}, profile.scopes)
    return with_parameters(usual, profile.authorization.parameters, profile.authorization.rename, values)
