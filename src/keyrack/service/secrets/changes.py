"""Creates and changes auth secrets by hand: tokens, state and times (contract 15.2). Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from keyrack.clock import iso
from keyrack.errors import ValidationFailed
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.secrets import NO_ACCOUNT, AuthSecret, SecretState
from keyrack.service.clients.auth_client_profile import FIELDS, direct_grant, new_key_for
from keyrack.service.clients.connection_inputs import kept_apart, wrong_connection_inputs
from keyrack.service.secrets.oauth2_credentials import (
    POINTER,
    TOKEN_MEMBERS,
    TOKENS,
    check_changes,
    check_new,
    merge,
)
from keyrack.service.secrets.refresh.grant_ends import GrantEnds, next_refresh
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import TYPE, well, with_tokens
from keyrack.validation.pointer import join


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a caller sends to create a secret; `auth_client_pointer` tells under which key the client was named."""

    auth_client_id: str
    auth_client_pointer: str
    name: str
    credentials: Mapping[str, Any] = field(repr=False)
    state: SecretState = SecretState.ready
    error: str | None = None
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a caller says of a secret's state; None says nothing, `error_given` tells null from missing."""

    state: SecretState | None = None
    error: str | None = None
    error_given: bool = False


@dataclass(frozen=True, slots=True)
class ChangedSecret:
    """What a caller sends to change one; None keeps what is stored."""

    name: str | None = None
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    state_change: StateChange = StateChange()


@dataclass(frozen=True, slots=True)
class SecretOwner:
    """Whose a secret is."""

    tenant_id: str
    workspace_id: str
    user_id: str


def bare(owner: SecretOwner, client: AuthClient, name: str, auth_method: str | None, now: datetime) -> AuthSecret:
    """Return a new secret without credentials.

    Args:
        owner: whose it is.
        client: its auth client.
        name: what it is called.
        auth_method: client authentication to remember with it (contract 20.3).
        now: the current time.
    """
    return AuthSecret(
        id=new_id(),
        tenant_id=owner.tenant_id,
        workspace_id=owner.workspace_id,
        user_id=owner.user_id,
        auth_client_id=client.id,
        name=name,
        type=client.type,
        credentials={},
        auth_method=auth_method,
        refreshable=False,
        state=SecretState.ready,
        error=None,
        error_code=None,
        error_at=None,
        issued_at=None,
        expires_at=None,
        generation=0,
        due_at=None,
        retry_at=None,
        refreshed_at=None,
        ambiguous_since=None,
        failure=None,
        failure_count=0,
        failed_at=None,
        last_used_at=None,
        created_at=now,
        updated_at=now,
    )


def created_facts(secret: AuthSecret, at: datetime) -> Json:
    """Return what the event of a new secret says, however it was made; nothing of it is secret."""
    return {
        "secret_id": secret.id,
        "workspace_id": secret.workspace_id,
        "user_id": secret.user_id,
        "auth_client_id": secret.auth_client_id,
        "type": secret.type,
        "at": iso(at),
    }


def filled(empty: AuthSecret, client: AuthClient, new: NewSecret, schedule: Schedule, now: datetime) -> AuthSecret:
    """Return a new secret with what the caller sent.

    Args:
        empty: as `bare` made it.
        client: its auth client.
        new: what the caller sent.
        schedule: when tokens are due.
        now: the current time, which counts as the time the tokens were issued.

    Raises:
        ValidationFailed: the credentials do not fit the type.
    """
    if is_oauth2(client.type):
        checked = check_new(new.credentials)
        if direct_grant(client) is not None:
            require_inputs(client, checked)
        keyed = replace(empty, dpop_key=new_key_for(client))  # what the first refresh brings is bound to it
        secret = with_tokens(keyed, client, checked, schedule, now)
    else:
        secret = _with_free(empty, new.credentials)
    return with_state(secret, client, new, schedule, now)


def require_inputs(client: AuthClient, credentials: Mapping[str, Any]) -> None:
    """Insist on what the auth client's profile asks each connection to fill in.

    Raises:
        ValidationFailed: some of it is missing or wrong.
    """
    wrong = wrong_connection_inputs(client, credentials, join(POINTER, FIELDS))
    if wrong:
        raise ValidationFailed(*wrong)


def with_state(secret: AuthSecret, client: AuthClient, new: NewSecret, schedule: Schedule, now: datetime) -> AuthSecret:
    """Return a new secret with what the caller says of its state."""
    return _with_state(secret, client, StateChange(new.state, new.error, error_given=True), schedule, now)


def changed(
    secret: AuthSecret, client: AuthClient, wanted: ChangedSecret, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Return a secret with a caller's changes.

    Credentials of oauth2 are merged, those of other types replaced as a whole. Tokens without a state make the secret
    ready. The same access token again was not issued anew: its time of expiry counts from when it was first seen. A
    lifetime that comes with an access token is kept for later tokens of the grant, one that comes alone is the stored
    token's only.

    Args:
        secret: as stored.
        client: its auth client.
        wanted: what the caller sent.
        schedule: when tokens are due.
        now: the current time.

    Raises:
        ValidationFailed: the credentials do not fit the type.
    """
    fresh = replace(secret, name=wanted.name or secret.name)
    if wanted.credentials is not None:
        if is_oauth2(secret.type):
            fresh = _with_changes(fresh, client, check_changes(wanted.credentials), schedule, now)
        else:
            fresh = _with_free(fresh, wanted.credentials)
    return _with_state(fresh, client, wanted.state_change, schedule, now)


def _with_free(secret: AuthSecret, credentials: Mapping[str, Any]) -> AuthSecret:
    return replace(well(secret), credentials=dict(credentials), generation=secret.generation + 1)


def _with_changes(
    secret: AuthSecret, client: AuthClient, changes: Json, schedule: Schedule, now: datetime
) -> AuthSecret:
    merged = merge(secret.credentials, changes)
    if TOKEN_MEMBERS.isdisjoint(changes):
        return replace(secret, credentials=kept_apart(client, merged))
    if secret.lifetime_guessed and "expires_in" not in changes:
        merged.pop("expires_in", None)  # what was guessed is not what somebody said
    same = merged["access_token"] == secret.credentials.get("access_token")
    if not same:
        merged.pop(TYPE, None)  # what comes from elsewhere is not bound to our key
    issued_at = secret.issued_at if same and secret.issued_at is not None else now
    fresh = _with_lifetime(secret, client, changes, merged, schedule, issued_at)
    if _is_other_grant(secret.credentials, merged):  # it was not asked for through us (contract 0.23)
        fresh = replace(fresh, requested_scopes=(), missing_scopes=(), account=NO_ACCOUNT)
        if fresh.refreshable:  # nor is it known when it began
            fresh = replace(fresh, grant_expires_at=None)
    if (fresh.refreshable, fresh.expires_at) == (secret.refreshable, secret.expires_at) and not fresh.refreshable:
        fresh = replace(fresh, due_at=secret.due_at)  # that it expired is told once
    if any(changes.get(name) is not None for name in TOKENS):
        return fresh
    # another lifetime, or a refresh token taken away, heals nothing
    return replace(
        secret,
        credentials=fresh.credentials,
        refreshable=fresh.refreshable,
        issued_at=fresh.issued_at,
        expires_at=fresh.expires_at,
        due_at=fresh.due_at if secret.state is SecretState.ready else None,
        generation=fresh.generation,
        grant_generation=fresh.grant_generation,
        ambiguous_since=fresh.ambiguous_since,
        refresh_token_expires_at=fresh.refresh_token_expires_at,
        grant_expires_at=fresh.grant_expires_at,
        stated_lifetime=fresh.stated_lifetime,
        lifetime_guessed=fresh.lifetime_guessed,
    )


def _with_lifetime(
    secret: AuthSecret, client: AuthClient, changes: Json, merged: Json, schedule: Schedule, issued_at: datetime
) -> AuthSecret:
    """Return a secret with merged credentials, and what the changes say of how long tokens live."""
    same, told = merged["access_token"] == secret.credentials.get("access_token"), "expires_in" in changes
    if same and told and changes["expires_in"] == secret.credentials.get("expires_in"):
        told = False  # sent back as it was shown
    forgotten = told and changes["expires_in"] is None
    before = replace(secret, stated_lifetime=None) if forgotten else secret
    fresh = with_tokens(before, client, merged, schedule, issued_at)
    kept = told and not forgotten and "access_token" in changes
    return replace(
        fresh,
        stated_lifetime=changes["expires_in"] if kept else before.stated_lifetime,
        lifetime_guessed=secret.lifetime_guessed if same and not told else fresh.lifetime_guessed,
    )


def _is_other_grant(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether tokens are those of another consent: a grant is known by its refresh token, else by its token."""
    name = "refresh_token" if before.get("refresh_token") else "access_token"
    return after.get(name) is not None and after.get(name) != before.get(name)


def _with_state(
    secret: AuthSecret, client: AuthClient, wanted: StateChange, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Apply what a caller says of the state; an error text is kept with the state `error` only."""
    if wanted.state is SecretState.ready:
        return replace(well(secret), due_at=_due(secret, client, schedule, now))
    if wanted.state is SecretState.error and secret.state is not SecretState.error:
        return replace(secret, state=SecretState.error, error=wanted.error, error_at=now, due_at=None)
    if secret.state is SecretState.error and wanted.error_given:
        return replace(secret, error=wanted.error)
    return secret


def _due(secret: AuthSecret, client: AuthClient, schedule: Schedule, now: datetime) -> datetime | None:
    if secret.issued_at is None or secret.expires_at is None:
        return None
    if not secret.refreshable:  # that it expired is told once
        return secret.expires_at if now < secret.expires_at and not secret.lifetime_guessed else secret.due_at
    ends = GrantEnds(secret.refresh_token_expires_at, secret.grant_expires_at)
    return next_refresh(secret.id, client, schedule, secret.issued_at, secret.expires_at, ends)
