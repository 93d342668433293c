"""Checks the ID token that a consent brings, where it asked for one (OpenID Connect Core 1.0 section 3.1.3.7)."""

from datetime import datetime

from keyrack.model.consents import Consent
from keyrack.oauth.id_token import UnknownKeyError, check_id_token
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.consents.server_metadata import ServerMetadata


class IdTokens:
    """Compares ID tokens with what was asked for."""

    def __init__(self, issuers: ServerMetadata) -> None:
        self._issuers = issuers

    async def check(self, consent: Consent, profile: ClientProfile, tokens: TokenResponse, at: datetime) -> None:
        """Insist that the ID token of a token response belongs to the consent; no transaction may be open.

        Where a nonce was sent and no ID token came back, the tokens are taken: some servers know the scope `openid` and
        send none. Then PKCE alone binds the code to the consent, as everywhere without `openid`.

        Args:
            consent: with its context still whole.
            profile: client and provider.
            tokens: what came back.
            at: when it came.

        Raises:
            ProviderError: the ID token is wrong.
        """
        nonce, issuer = consent.context.nonce, consent.context.issuer
        token = tokens.members.get("id_token")
        if nonce is None or not isinstance(token, str) or not token:
            return
        keys = None if issuer is None else await self._issuers.keys(issuer, tenant_id=consent.tenant_id)
        for attempt in range(2):
            try:
                check_id_token(
                    token,
                    client_id=profile.client_id,
                    client_secret=profile.client_secret,
                    nonce=nonce,
                    at=at,
                    issuer=issuer,
                    keys=keys,
                )
            except UnknownKeyError:
                if issuer is None or attempt:
                    raise
                keys = await self._issuers.keys(issuer, tenant_id=consent.tenant_id, newer=True)
            else:
                return
