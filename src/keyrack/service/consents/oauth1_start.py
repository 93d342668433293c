"""Starts a consent of OAuth 1.0a: gets the temporary credentials that its authorization needs (contract section 21)."""

from dataclasses import replace

from keyrack.clock import Clock
from keyrack.errors import AlreadyExists, ProviderError
from keyrack.model.consents import Consent
from keyrack.oauth import oauth1
from keyrack.oauth.profile import ClientProfile
from keyrack.provider.client import ProviderClient
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.consents import ConsentRows
from keyrack.store.core.store import Store


class OAuth1Start:
    """Asks for temporary credentials.

    A lost answer loses nothing: nobody has authorized anything yet, so the request is not in the journal.
    """

    def __init__(self, store: Store, provider: ProviderClient, clock: Clock) -> None:
        self._store = store
        self._provider = provider
        self._clock = clock

    async def ask(self, consent: Consent, profile: ClientProfile) -> Consent:
        """Get temporary credentials for a pending consent and return it with its authorization address.

        No transaction is open meanwhile.

        Args:
            consent: as it was stored.
            profile: client and provider.

        Raises:
            ProviderError, ProviderUnavailable: there are none.
            ValidationFailed: the provider cannot be asked.
        """
        request = oauth1.build_temporary_request(profile, callback=consent.context.redirect_uri, at=self._clock())
        answer = await send(self._provider, request, tenant_id=consent.tenant_id)
        temporary = oauth1.process_temporary_response(answer, sent=(profile.client_secret,))
        url = oauth1.build_authorization_url(
            profile.authorization_endpoint, temporary.token, consent.context.additional_params
        )
        context = replace(consent.context, authorization_url=url, temporary=(temporary.token, temporary.secret))
        try:
            async with self._store.unit(consent.tenant_id, writes=True) as unit:
                await ConsentRows(unit).await_callback(consent.id, oauth1.token_hash(temporary.token.reveal()), context)
        except AlreadyExists:
            # The callback names nothing but the token, so it must be told whose it is.
            raise ProviderError("The authorization server issued a token that it had issued before.") from None
        return replace(consent, context=context)
