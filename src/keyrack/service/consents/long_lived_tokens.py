"""Exchanges an `oauth2_instagram` consent's short-lived token for a long-lived one (contract section 14).

The exchange may be repeated while the short-lived token lives. So it is not in the journal itself: whoever resumes
from the answer to the first exchange, which is, makes the second one again.
"""

from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth import instagram
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse, process_token_response
from keyrack.provider.client import ProviderClient
from keyrack.service.secrets.refresh.sending import send


class LongLivedTokens:
    """Exchanges short-lived tokens."""

    def __init__(self, provider: ProviderClient) -> None:
        self._provider = provider

    async def exchange(self, profile: ClientProfile, short: TokenResponse, *, tenant_id: str) -> TokenResponse:
        """Return the long-lived token for a short-lived one; no transaction may be open.

        Args:
            profile: client and provider; the exchange is asked for at its `long_lived_endpoint`.
            short: what the code was exchanged for.
            tenant_id: for whom.

        Raises:
            ProviderError, ProviderUnavailable: there is none; the text says that it was the second exchange.
        """
        request = instagram.build_exchange_request(
            profile.long_lived_endpoint or "", profile.client_secret, short.access_token
        )
        try:
            answer = await send(self._provider, request, tenant_id=tenant_id)
            tokens = process_token_response(answer, sent=(profile.client_secret, short.access_token))
        except (ProviderError, ProviderUnavailable) as error:
            text = f"Access was granted, but there is no long-lived token: {error} Connect again."
            raise type(error)(text, error.failure) from None
        return instagram.long_lived(short, tokens)
