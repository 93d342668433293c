"""Which issuer a consent with an auth client expects: the client's own, else the component's (contract 0.23)."""

from dataclasses import replace

from keyrack.descriptor.model import OAuth2Block
from keyrack.descriptor.template import placeholders
from keyrack.oauth.profile import ClientProfile
from keyrack.provider.guard import check_issuer
from keyrack.service.components.visibility import COMPONENT_POINTER
from keyrack.service.consents.return_url import origin_of_page


def with_issuer(profile: ClientProfile, block: OAuth2Block, *, allow_insecure: bool) -> ClientProfile:
    """Return a profile with the issuer of the component's `oauth2` block, unless the auth client names one.

    The block's counts only for the server that the block is about: not where its `auth_uri` is at another origin than
    the client's, and not where either is a template, which nothing fills in for auth clients.

    Raises:
        ValidationFailed: the block's issuer is none (RFC 8414 section 2).
    """
    if profile.issuer is not None or block.issuer is None or any(placeholders(block.issuer)):
        return profile
    if block.auth_uri and (
        any(placeholders(block.auth_uri))
        or origin_of_page(block.auth_uri) != origin_of_page(profile.authorization_endpoint)
    ):
        return profile
    check_issuer(block.issuer, allow_insecure=allow_insecure, pointer=COMPONENT_POINTER)
    sends_iss = block.sends_iss if profile.sends_iss is None else profile.sends_iss
    return replace(profile, issuer=block.issuer, sends_iss=sends_iss)
