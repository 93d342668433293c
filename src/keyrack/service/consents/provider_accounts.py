"""Finds out whose account a consent has connected, and what its profile wants known; no consent fails for it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from keyrack.errors import KeyrackError
from keyrack.model.consents import AuthorizationContext, Consent
from keyrack.model.secrets import NO_ACCOUNT, ProviderAccount
from keyrack.oauth.account import AccountSource, account_of
from keyrack.oauth.id_token import claims_of
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.answers import learned_of_userinfo
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.consents.return_url import origin_of_page
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.secrets.after_connecting import AfterConnecting
from keyrack.service.secrets.userinfo import UserInfo

WAIT = 4.0
"""Seconds a person in front of a callback waits for it at most."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What was found out.

    Attributes:
        account: whose it is.
        userinfo_uri: where the provider can be asked again, if anywhere.
        learned: what else was told there that the provider's profile has kept with the connection.
    """

    account: ProviderAccount = NO_ACCOUNT
    userinfo_uri: str | None = None
    learned: Mapping[str, str] = field(default_factory=dict, repr=False)


class ProviderAccounts:
    """Reads what came with the tokens, and asks the provider where that does not tell.

    Args:
        userinfo: asks.
        issuers: what is known of authorization servers.
        after: makes the further calls that profiles want.
        wait: seconds that the question whose account it is may take in all.
    """

    def __init__(
        self, userinfo: UserInfo, issuers: ServerMetadata, after: AfterConnecting, *, wait: float = WAIT
    ) -> None:
        self._userinfo = userinfo
        self._after = after
        self._issuers = issuers
        self._wait = wait

    async def of(self, consent: Consent, profile: ClientProfile, tokens: TokenResponse) -> Identified:
        """Return whose account the tokens of a consent are for, as far as it can be told; no transaction may be open.

        Args:
            consent: with its context still whole, its ID token checked.
            profile: client and provider.
            tokens: what the consent has brought.
        """
        source, tenant_id = _source(consent.context), consent.tenant_id
        claims = claims_of(tokens.members.get("id_token"))
        sent = [token for token in (tokens.access_token, tokens.refresh_token) if token is not None]
        found = account_of(source, response=tokens.members, claims=claims, sent=sent)
        uri, learned = source.userinfo_uri, dict[str, str]()
        wanted = {} if profile.provider is None else profile.provider.answer.userinfo_learned
        with suppress(KeyrackError, TimeoutError):
            async with asyncio.timeout(self._wait):
                if uri is None:
                    uri = await self._discovered(consent, profile, tokens)
                if uri is not None and (wanted or not _is_enough(source, found, tokens)):
                    answer = await self._userinfo.ask(
                        uri,
                        tokens.access_token,
                        tenant_id=tenant_id,
                        proof_key=profile.proof_key,
                        certificate=profile.certificate,
                    )
                    asked = answer.members
                    found = account_of(source, response=tokens.members, claims=claims, userinfo=asked, sent=sent)
                    learned = learned_of_userinfo(asked or {}, wanted)
        learned |= await self._after.learn(profile, tokens, learned, tenant_id=tenant_id)
        return Identified(found, uri, learned)

    async def _discovered(self, consent: Consent, profile: ClientProfile, tokens: TokenResponse) -> str | None:
        """Return the endpoint that the issuer names, where it is known that the tokens are this issuer's.

        It is if it issued the ID token that was asked for, or is the server that gives the tokens. Else whoever may
        name an issuer could have other people's tokens sent to a server of their own.
        """
        issuer, nonce = consent.context.issuer, consent.context.nonce
        if issuer is None or nonce is None:  # without `openid` no token is good for that endpoint
            return None
        ours = {origin_of_page(uri) for uri in (profile.authorization_endpoint, profile.token_endpoint)}
        if not tokens.members.get("id_token") and origin_of_page(issuer) not in ours:
            return None
        return await self._issuers.userinfo_endpoint(issuer, tenant_id=consent.tenant_id)


def _source(context: AuthorizationContext) -> AccountSource:
    labels, subjects = context.account_label_paths or (), context.account_subject_paths or ()
    return AccountSource(context.userinfo_uri, tuple(labels), tuple(subjects))


def _is_enough(source: AccountSource, found: ProviderAccount, tokens: TokenResponse) -> bool:
    """Tell whether the provider need not be asked: what came with the tokens tells what is wanted."""
    if not source.label_paths:
        return found.label is not None
    by_path = AccountSource(label_paths=source.label_paths)
    return account_of(by_path, response=tokens.members, claims={}).label is not None
