"""Checks the ID token of a consent that asked for one, or of a sign-in (OpenID Connect Core 1.0 section 3.1.3.7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.model.consents import Consent
from keyrack.oauth.id_token import PublicKey, UnknownKeyError, check_id_token
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
        asked = _Asked(profile.client_id, profile.client_secret, nonce, issuer, consent.tenant_id)
        await self._checked(token, asked, keys, at)

    async def require(
        self, profile: ClientProfile, tokens: TokenResponse, nonce: str, at: datetime, *, issuer: str, tenant_id: str
    ) -> Mapping[str, Any]:
        """Insist on a signed ID token that answers a sign-in, and return what it says.

        Args:
            profile: client and provider.
            tokens: what came back.
            nonce: what was sent.
            at: when it came.
            issuer: whose word counts.
            tenant_id: whose connections are used.

        Raises:
            ProviderError: there is none, or it is wrong.
            ProviderUnavailable: the issuer's keys cannot be had.
        """
        token = tokens.members.get("id_token")
        if not isinstance(token, str) or not token:
            raise ProviderError("The authorization server sent no ID token. Is the scope openid allowed to the client?")
        keys = await self._issuers.keys(issuer, tenant_id=tenant_id)
        if keys is None:
            raise ProviderUnavailable("The keys of the authorization server cannot be had, so its word is not taken.")
        asked = _Asked(profile.client_id, profile.client_secret, nonce, issuer, tenant_id, must_be_signed=True)
        return await self._checked(token, asked, keys, at)

    async def _checked(
        self, token: str, asked: "_Asked", keys: Sequence[PublicKey] | None, at: datetime
    ) -> Mapping[str, Any]:
        """Check a token, with newer keys if it is signed with one that is not known yet."""

        def check(keys: Sequence[PublicKey] | None) -> Mapping[str, Any]:
            return check_id_token(
                token,
                client_id=asked.client_id,
                client_secret=asked.client_secret,
                nonce=asked.nonce,
                at=at,
                issuer=asked.issuer,
                keys=keys,
            )

        try:
            return check(keys)
        except UnknownKeyError:
            if asked.issuer is None:
                raise
        newer = await self._issuers.keys(asked.issuer, tenant_id=asked.tenant_id, newer=True)
        return check(() if newer is None and asked.must_be_signed else newer)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a token is held against."""

    client_id: str
    client_secret: Secret
    nonce: str
    issuer: str | None
    tenant_id: str
    must_be_signed: bool = False
    """Whether keys that cannot be had count as none."""
