"""Makes the calls that a provider profile wants made once an account is connected, and never fails for them."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from keyrack.errors import KeyrackError
from keyrack.oauth.after_connecting import call_request, told_by_call, told_by_token
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.addresses import filled_address
from keyrack.oauth.profiles.answers import member_at
from keyrack.oauth.profiles.call_parts import Call
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.token_response import TokenResponse
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.secrets.refresh.sending import send

WAIT = 6.0
"""Seconds that all calls of a connection may take: somebody waits for it."""


class AfterConnecting:
    """Asks the provider, one call after another.

    Args:
        provider: calls it, within the bounds of address, time and size that hold for every call.
        allow_insecure: accept http URLs and private addresses.
        wait: seconds that it may take in all.
    """

    def __init__(self, provider: ProviderClient, *, allow_insecure: bool, wait: float = WAIT) -> None:
        self._provider = provider
        self._allow_insecure = allow_insecure
        self._wait = wait

    async def learn(
        self, profile: ClientProfile, tokens: TokenResponse, known: Mapping[str, str], *, tenant_id: str
    ) -> dict[str, str]:
        """Return what is to be kept with a new connection, as far as it was told; no transaction may be open.

        Args:
            profile: client and provider, with what was filled in for the connection.
            tokens: that it has got.
            known: what else its provider has told of it.
            tenant_id: whose connection it is.
        """
        said = profile.provider
        if said is None or not (said.after_connecting or said.answer.token_claims):
            return {}
        filled_in = {**profile.values, **known, **_of_answer(said, tokens)}
        learned = told_by_token(tokens.access_token, said.answer.token_claims)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait):
                for call in said.after_connecting:
                    values = {**learned, **filled_in}
                    if not call.tells or not values.keys() >= set(call.tells):
                        learned = {**await self._told(call, profile, tokens, values, tenant_id), **learned}
        return {name: text for name, text in learned.items() if name not in filled_in}

    async def _told(
        self, call: Call, profile: ClientProfile, tokens: TokenResponse, values: Mapping[str, str], tenant_id: str
    ) -> Mapping[str, str]:
        address = filled_address(call.endpoint, profile.client_values, values)
        if address is None:
            return {}
        try:
            check_uri(address, allow_insecure=self._allow_insecure)
            request = call_request(call, address, profile, tokens.access_token, {**values, **profile.placeholders})
            return told_by_call(call, await send(self._provider, request, tenant_id=tenant_id), values)
        except KeyrackError:
            return {}


def _of_answer(said: ProviderProfile, tokens: TokenResponse) -> dict[str, str]:
    """Return what came with the tokens that can be a placeholder."""
    found = {path: member_at(tokens.members, path) for path in said.answer.learned}
    return {path: str(value) for path, value in found.items() if isinstance(value, str | int | float)}
