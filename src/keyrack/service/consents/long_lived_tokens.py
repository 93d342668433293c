"""Exchanges a consent's first token for one that lives longer, where its provider has that (contract 14, decision 38).

The exchange may be repeated while the first token lives. So it is not in the journal itself: whoever resumes
from the answer to the first exchange, which is, makes the second one again.
"""

from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.long_lived import build_exchange_request, long_lived
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
            profile: client and provider.
            short: what the code was exchanged for.
            tenant_id: for whom.

        Raises:
            ProviderError, ProviderUnavailable: there is none; the text says that it was the second exchange.
        """
        request = build_exchange_request(profile, short.access_token)
        sent = (profile.client_secret, short.access_token)
        try:
            answer = await send(self._provider, request, tenant_id=tenant_id)
            tokens = process_token_response(answer, provider=profile.provider, sent=sent)
        except (ProviderError, ProviderUnavailable) as error:
            text = f"Access was granted, but there is no long-lived token: {error} Connect again."
            raise type(error)(text, error.failure) from None
        return long_lived(short, tokens)
