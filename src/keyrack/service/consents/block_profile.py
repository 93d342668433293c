"""Applies the provider profile of a component's `oauth2` block to consents with its OAuth client (decision 38).

It counts in the first generation only, where the descriptor decides the addresses anyway, and changes none of them.
Auth clients have a profile of their own or none: what a component's developer says is about no other tenant's client.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keyrack.descriptor.model import Descriptor
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.clients import OAuthClient
from keyrack.oauth.account import AccountSource
from keyrack.oauth.client_auth import RequestAuthentication, TokenEndpointAuthMethod
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import Pkce
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.of_blocks import profile_of_block
from keyrack.service.components.visibility import COMPONENT_POINTER


def with_block_profile(
    profile: ClientProfile, descriptor: Descriptor, fields: Mapping[str, Any], client: OAuthClient | None
) -> ClientProfile:
    """Return what the protocol needs to know, with the profile of the component's block, if it has one.

    Args:
        profile: as the block says without it.
        descriptor: the component's.
        fields: checked values; those of the profile's inputs stand for its placeholders, and no variable does.
        client: the tenant's OAuth client, whose own client authentication counts first, then the block's.

    Raises:
        ValidationFailed: the profile cannot be used.
    """
    block = descriptor.oauth2
    if block is None or block.provider_profile is None or descriptor.uses_http_auth:
        return profile
    try:
        provider = profile_of_block(block.provider_profile)
    except ValidationFailed as wrong:
        first = wrong.problems[0]
        detail = f"the component's provider_profile{first.pointer or ''} {first.detail}"
        raise ValidationFailed(Problem(detail, COMPONENT_POINTER)) from None
    said = (client is not None and client.client_auth is not None) or block.client_auth is not None
    own, account = provider.client_authentication.method, profile.account
    of_codes = provider.token.client_authentication
    return replace(
        profile,
        provider=provider,
        values=_values(provider, fields),
        pkce=profile.pkce and provider.pkce is not Pkce.OFF,
        token_endpoint_auth_method=profile.token_endpoint_auth_method if said else TokenEndpointAuthMethod(own),
        of_codes=None if of_codes is None else RequestAuthentication(TokenEndpointAuthMethod(of_codes.method)),
        account=AccountSource(
            account.userinfo_uri,
            account.label_paths or provider.answer.account,
            account.subject_paths or provider.answer.account_id,
        ),
    )


def _values(provider: ProviderProfile, fields: Mapping[str, Any]) -> dict[str, str]:
    known = {name: fields.get(name) or said.default for name, said in provider.inputs.items()}
    return {name: str(value) for name, value in known.items() if isinstance(value, str | int) and value != ""}
