"""Ends one grant at its provider, or exchanges its tokens, and finds out what still works (decision 47).

Nothing is believed that can be asked. After a revocation (RFC 7009) that the provider confirms, the refresh token is
tried once in the ordinary refresh: its refusal is the proof, and is kept as every refusal is. Tokens that come instead
are kept too, and show that the grant lives.
"""

import time
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.errors import (
    DatabaseUnavailable,
    KeyrackError,
    NotFound,
    ProviderError,
    ProviderUnavailable,
    ValidationFailed,
)
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.containment import ContainedGrant, GrantStatus, TargetedGrant
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.oauth.client_assertion import UnusableKeyError
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import TokenTypeHint
from keyrack.oauth.revocation import build_client_revocation, process_revocation_response, revocable_tokens
from keyrack.provider.client import ProviderClient
from keyrack.service.clients.auth_client_profile import client_profile, origin_of
from keyrack.service.clients.connection_inputs import renews_itself
from keyrack.service.clients.live_secrets import second_after
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.refresher import Refresher
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store

_CONTAINED = "The operator has had this connection revoked. Connect the account again."


class ContainAction(StrEnum):
    """What is done to each grant."""

    revoke = "revoke"
    rotate = "rotate"


class Token(StrEnum):
    """What became of a token."""

    revoked = "revoked"
    """The provider has confirmed its revocation (RFC 7009 section 2.2)."""
    refused = "refused"
    """The provider refuses it: tried after it was revoked."""
    replaced = "replaced"
    """Another one came in its place."""
    expired = "expired"
    none = "none"
    """There was none."""
    alive = "alive"
    unknown = "unknown"


_REFUSED = frozenset({ErrorCode.reauthorization_required, ErrorCode.refresh_interrupted})
"""Of a secret whose refresh token the provider has refused."""
DEAD = frozenset({Token.revoked, Token.refused, Token.replaced, Token.expired, Token.none})


class GrantActions:
    """Deals with one grant at a time.

    Args:
        store: where the grants are.
        provider: calls providers.
        limiter: whose turn it is at which provider.
        refresher: refreshes.
    """

    def __init__(self, store: Store, provider: ProviderClient, limiter: ProviderLimiter, refresher: Refresher) -> None:
        self._store = store
        self._provider = provider
        self._limiter = limiter
        self._refresher = refresher

    async def deal_with(self, grant: TargetedGrant, action: ContainAction) -> ContainedGrant:
        """End a grant, or exchange its tokens, and return what still works of what there was before.

        Raises:
            DatabaseUnavailable: the database is gone; what was done at the provider is found out next time.
        """
        try:
            return await self._dealt_with(grant, action)
        except DatabaseUnavailable:
            raise
        except (KeyrackError, UnusableKeyError) as error:  # it awaits its cutover, or is damaged: the others go on
            unknown = Token.unknown.value
            why = {"why": "could_not_be_asked", "error": type(error).__name__, "says": str(error)}
            facts = {"refresh_token": unknown, "access_token": unknown, **why}
            return _contained(grant, GrantStatus.unknown, facts, self._store.clock())

    async def _dealt_with(self, grant: TargetedGrant, action: ContainAction) -> ContainedGrant:
        now = self._store.clock
        async with self._store.unit(grant.tenant_id) as unit:
            secret = await AuthSecrets(unit).find(grant.secret_id)
            client = await find_usable(unit, grant.auth_client_id)
        if secret is None or client is None:
            return _contained(grant, GrantStatus.dead, {"why": "deleted"}, now())
        if not is_oauth2(secret.type):
            facts = {"why": "no_oauth", "says": "a key or password: exchange it where it was made"}
            return _contained(grant, GrantStatus.alive, facts, now())
        if action is ContainAction.revoke:
            facts = await self._revoke(secret, client)
        else:
            facts = await self._rotate(secret, client)
        return _contained(grant, _status(facts, action), facts, now())

    async def _revoke(self, secret: AuthSecret, client: AuthClient) -> Json:
        profile = client_profile(client, secret.auth_method, secret.credentials)
        refresh_token, access_token = (secret.credentials.get(name) for name in ("refresh_token", "access_token"))
        if secret.error_code is ErrorCode.reauthorization_required:
            facts = {"refresh_token": Token.refused.value, "confirmed_by": "refused_before"}
        else:
            facts = await self._told(secret, profile, TokenTypeHint.REFRESH_TOKEN, refresh_token)
        facts |= await self._told(secret, profile, TokenTypeHint.ACCESS_TOKEN, access_token)
        if facts["refresh_token"] == Token.revoked:
            facts |= await self._tried(secret)
        elif refresh_token and facts["refresh_token"] != Token.refused:
            facts.setdefault("why", "refresh_token_works")
        if not refresh_token and renews_itself(client, secret.credentials):
            facts |= {"refresh_token": Token.alive.value, "why": "renewed_with_the_client_itself"}
        if not refresh_token and Token(facts["access_token"]) in DEAD:
            await self._end(secret)
        return facts

    async def _told(self, secret: AuthSecret, profile: ClientProfile, hint: TokenTypeHint, token: object) -> Json:
        """Have a token revoked; return what became of it."""
        name, expires_at = hint.value, secret.expires_at
        is_access = hint is TokenTypeHint.ACCESS_TOKEN
        if not isinstance(token, str) or not token:
            return {name: Token.none.value}
        if is_access and expires_at is not None and expires_at <= self._store.clock():
            return {name: Token.expired.value}
        lives = {} if not is_access else {"access_token_lives_until": None if expires_at is None else iso(expires_at)}
        if profile.revocation_endpoint is None or hint not in revocable_tokens(profile.provider):
            return {name: Token.alive.value, "why": "no_revocation_endpoint", **lives}
        facts: Json = {name: Token.revoked.value, "confirmed_by": "revocation_response"}
        try:
            await self._ask(secret.tenant_id, profile, profile.revocation_endpoint, hint, Secret(token))
        except ProviderUnavailable as error:
            facts = {name: Token.unknown.value, "why": "provider_unavailable", "reason": error.failure.reason, **lives}
        except ProviderError as error:
            said = {"error": error.failure.error, "status": error.failure.status}
            facts = {name: Token.alive.value, "why": "revocation_refused", **said, **lives}
        except ValidationFailed:
            facts = {name: Token.alive.value, "why": "forbidden_uri", **lives}
        return facts

    async def _ask(
        self, tenant_id: str, profile: ClientProfile, endpoint: str, hint: TokenTypeHint, token: Secret
    ) -> None:
        async with self._limiter.admit(tenant_id, origin_of(endpoint)):
            request = build_client_revocation(profile, endpoint, token, hint)
            answer = await send(self._provider, request, tenant_id=tenant_id)
        try:
            process_revocation_response(answer, (token, profile.client_secret), profile.provider)
        except ProviderError as error:
            second = second_after(profile, error)
            if second is None:
                raise
            await self._ask(tenant_id, second, endpoint, hint, token)

    async def _tried(self, secret: AuthSecret) -> Json:
        """Try a revoked refresh token once more; a refusal ends the grant here too."""
        try:
            fresh = await self._refresher.refresh_again(secret, time.monotonic())
        except NotFound:
            return {"refresh_token": Token.refused.value, "confirmed_by": "deleted"}
        except ProviderUnavailable as error:
            return {"refresh_token": Token.unknown.value, "why": "not_confirmed", "reason": error.failure.reason}
        except ProviderError as error:
            async with self._store.unit(secret.tenant_id) as unit:
                now = await AuthSecrets(unit).find(secret.id)
            # a refusal of the client, or one that says nothing of its reason, says nothing of the token
            if now is None or now.error_code in _REFUSED:
                return {"refresh_token": Token.refused.value, "confirmed_by": "refresh_refused"}
            return {"refresh_token": Token.unknown.value, "why": "not_confirmed", "error": error.failure.error}
        lives = None if fresh.expires_at is None else iso(fresh.expires_at)
        return {
            "refresh_token": Token.alive.value,
            "access_token": Token.alive.value,
            "why": "revoked_token_was_refreshed",
            "access_token_lives_until": lives,
        }

    async def _end(self, secret: AuthSecret) -> None:
        """Let a connection whose only token is dead say that it must be made again."""
        async with self._store.unit(secret.tenant_id, writes=True) as unit:
            now = await AuthSecrets(unit).find(secret.id, locked=True)
            if now is None or now.generation != secret.generation or now.error_code is not None:
                return
            code, at = ErrorCode.reauthorization_required, unit.clock()
            ended = replace(now, state=SecretState.error, error=_CONTAINED, error_code=code, error_at=at, due_at=None)
            await AuthSecrets(unit).replace(ended, refresh_token_replaced=False)

    async def _rotate(self, secret: AuthSecret, client: AuthClient) -> Json:
        """Have new tokens, and the old ones end: by the provider's own rotation, or revoked."""
        if not secret.refreshable:
            return {"refresh_token": Token.none.value, "access_token": Token.alive.value, "why": "cannot_be_renewed"}
        unknown: Json = {"refresh_token": Token.unknown.value, "access_token": Token.unknown.value}
        try:
            fresh = await self._refresher.refresh_again(secret, time.monotonic())
        except ProviderUnavailable as error:
            return {**unknown, "why": "provider_unavailable", "reason": error.failure.reason}
        except ProviderError as error:
            return {**unknown, "why": "refresh_refused", "error": error.failure.error}
        except NotFound:
            return {"refresh_token": Token.refused.value, "access_token": Token.none.value, "why": "deleted"}
        old, new = (each.credentials.get("refresh_token") for each in (secret, fresh))
        profile = client_profile(client, secret.auth_method, secret.credentials)
        access = await self._told(secret, profile, TokenTypeHint.ACCESS_TOKEN, secret.credentials.get("access_token"))
        if old and new == old:
            return {"refresh_token": Token.alive.value, "why": "provider_keeps_the_refresh_token", **access}
        return {"refresh_token": Token.replaced.value if old else Token.none.value, **access}


def _status(facts: Json, action: ContainAction) -> GrantStatus:
    tokens = {Token(facts[name]) for name in ("refresh_token", "access_token")}
    if tokens <= DEAD:
        is_there = action is ContainAction.rotate and facts.get("why") != "deleted"
        return GrantStatus.exchanged if is_there else GrantStatus.dead
    return GrantStatus.alive if Token.alive in tokens else GrantStatus.unknown


def _contained(grant: TargetedGrant, status: GrantStatus, facts: Json, at: datetime) -> ContainedGrant:
    kept = {name: value for name, value in facts.items() if value is not None}
    about = {"workspace_id": grant.workspace_id, "auth_client_id": grant.auth_client_id}
    return ContainedGrant(grant.tenant_id, grant.secret_id, status, {**about, **kept}, at)
