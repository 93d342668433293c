"""Applies new tokens to an auth secret, wherever they come from (contract 15.1, 15.2, 0.14)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.oauth.dpop import TOKEN_TYPE, is_bound
from keyrack.oauth.scopes import missing_scopes
from keyrack.oauth.token_response import TokenResponse, still_true
from keyrack.service.clients.auth_client_profile import provider_of
from keyrack.service.clients.connection_inputs import kept_apart, renews_itself, without_spent_inputs
from keyrack.service.secrets.refresh.grant_ends import GrantEnds, grant_ends, next_refresh
from keyrack.service.secrets.refresh.lifetimes import lifetime_of
from keyrack.service.secrets.refresh.schedule import Schedule

TYPE = "token_type"
"""The member of the credentials that is there if the access token is bound to the secret's key (RFC 9449)."""


def with_tokens(
    secret: AuthSecret, client: AuthClient, credentials: Json, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Return an oauth2 secret with other tokens: fresh, ready, and without a memory of failures.

    What is in doubt about its refresh token (`ambiguous_since`) stays in doubt while that is the same.

    Args:
        secret: as stored.
        client: the auth client behind it.
        credentials: the whole new credentials (contract 15.1); `expires_in`, in seconds, may be missing.
        schedule: when tokens are due.
        now: when the tokens were issued.

    Returns:
        The secret with `expires_in` filled in, times of expiry and next refresh, and the next generation; with another
        refresh token, also the next generation of the grant.
    """
    credentials = without_spent_inputs(client, kept_apart(client, credentials))
    lifetime = lifetime_of(client, credentials, secret.stated_lifetime, now)
    expires_at = now + timedelta(seconds=lifetime.seconds)
    endless = renews_itself(client, credentials)
    refreshable = bool(credentials.get("refresh_token")) or endless
    another = replaces_refresh_token(secret, credentials)
    ends = GrantEnds() if endless else grant_ends(secret, client, credentials, now, another=another)
    # one that cannot be refreshed is due when it expires, to tell of it, if that is known
    expiry = None if lifetime.guessed else expires_at
    return replace(
        well(secret),
        credentials={**credentials, "expires_in": lifetime.seconds},
        refreshable=refreshable,
        issued_at=now,
        expires_at=expires_at,
        due_at=next_refresh(secret.id, client, schedule, now, expires_at, ends) if refreshable else expiry,
        refresh_token_expires_at=ends.unused,
        grant_expires_at=ends.at_last if refreshable else expiry,
        generation=secret.generation + 1,
        grant_generation=secret.grant_generation + another,
        ambiguous_since=None if another else secret.ambiguous_since,
        stated_lifetime=credentials.get("expires_in") or secret.stated_lifetime,
        lifetime_guessed=lifetime.guessed,
    )


def refreshed(
    secret: AuthSecret,
    client: AuthClient,
    tokens: TokenResponse,
    schedule: Schedule,
    now: datetime,
    *,
    anew: bool = False,
) -> AuthSecret:
    """Return a secret with what the answer to a refresh brings (contract 15.3); older answers no longer count.

    Args:
        secret: as stored.
        client: the auth client behind it.
        tokens: the answer.
        schedule: when tokens are due.
        now: when the answer came.
        anew: the grant itself was asked for again, so that nothing of the one before is left.
    """
    before = {**without_grant(secret.credentials), **_learned(secret, client)} if anew else secret.credentials
    fresh = with_tokens(secret, client, merged(before, tokens), schedule, now)
    fresh = replace(fresh, refreshed_at=now, grant_generation=secret.grant_generation + 1, ambiguous_since=None)
    return with_granted(fresh, tokens)


def _learned(secret: AuthSecret, client: AuthClient) -> Json:
    """Return what a connection's profile has had asked for once: another token of the same grant changes none of it."""
    told, provider = secret.credentials.get("undefined_params"), provider_of(client)
    names = () if provider is None else set(provider.learned).difference(provider.answer.learned)
    kept = {name: told[name] for name in names if name in told} if isinstance(told, Mapping) else {}
    return {"undefined_params": kept} if kept else {}


def without_grant(credentials: Mapping[str, Any]) -> Json:
    """Return credentials without what came of one grant: its refresh token, scope, and the provider's own members."""
    gone = {"access_token", "refresh_token", "expires_in", "scope", "undefined_params"}
    return {name: value for name, value in credentials.items() if name not in gone}


def first_granted(
    secret: AuthSecret,
    client: AuthClient,
    tokens: TokenResponse,
    schedule: Schedule,
    now: datetime,
    scopes: Sequence[str],
) -> AuthSecret:
    """Return a secret with the tokens of a direct grant that was asked for with what is filled in for it now.

    Args:
        secret: with what is filled in; of other tokens in it nothing stays.
        client: the auth client behind it.
        tokens: the answer.
        schedule: when tokens are due.
        now: when the answer came.
        scopes: what was asked for.
    """
    before = replace(secret, stated_lifetime=None)
    fresh = with_tokens(before, client, merged(without_grant(secret.credentials), tokens), schedule, now)
    fresh = replace(
        fresh,
        grant_generation=secret.grant_generation + 1,
        ambiguous_since=None,
        connected_at=now,
        requested_scopes=tuple(scopes),
        missing_scopes=(),
    )
    return with_granted(fresh, tokens)


def replaces_refresh_token(secret: AuthSecret, credentials: Mapping[str, Any]) -> bool:
    """Tell whether credentials have another refresh token than a secret has, or none any more."""
    return credentials.get("refresh_token") != secret.credentials.get("refresh_token")


def well(secret: AuthSecret) -> AuthSecret:
    """Return a secret that is ready, without a memory of failures; what is in doubt of its refresh token stays so."""
    return replace(
        secret,
        state=SecretState.ready,
        error=None,
        error_code=None,
        error_at=None,
        retry_at=None,
        failure=None,
        failure_count=0,
        failed_at=None,
        backoff_count=0,
    )


def merged(credentials: Mapping[str, Any], tokens: TokenResponse) -> Json:
    """Return credentials with what a token response brings (contract 15.3).

    A missing refresh token or scope keeps the old one (RFC 6749 section 6), only a token that is bound to a key says
    its type, unknown members are merged into
    `undefined_params`, except that those which were true of the old tokens only go with them, and the lifetime is the
    response's alone: `with_tokens` fills in what it does not say.
    """
    fresh: Json = {**credentials, "access_token": tokens.access_token.reveal(), "expires_in": tokens.expires_in}
    if tokens.refresh_token is not None:
        fresh["refresh_token"] = tokens.refresh_token.reveal()
    if tokens.scope is not None:
        fresh["scope"] = tokens.scope
    if fresh.get(TYPE) == TOKEN_TYPE:
        del fresh[TYPE]
    if is_bound(tokens.token_type):
        fresh[TYPE] = TOKEN_TYPE
    known = credentials.get("undefined_params")
    kept = still_true(known if isinstance(known, Mapping) else {}, refresh_token_kept=tokens.refresh_token is None)
    fresh["undefined_params"] = {**kept, **tokens.undefined_params}
    return fresh


def with_granted(secret: AuthSecret, tokens: TokenResponse) -> AuthSecret:
    """Return a secret with what a token response says of its scopes; what it does not mention stays as it was.

    Args:
        secret: its `requested_scopes` are those of its grant.
        tokens: the answer to a consent, or to a refresh that may have narrowed what is granted (RFC 6749 section 6).
    """
    if tokens.scope is None:
        return secret
    return replace(secret, missing_scopes=missing_scopes(secret.requested_scopes, tokens.scope))
