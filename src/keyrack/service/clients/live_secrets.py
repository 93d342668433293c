"""Decides which of a client's two live secrets is used while one is rotated (decision 47). Pure functions.

The secret in the client's own place is the one that is used: that is what documents show, steps get and requests send.
The other one is kept beside it and sent only where the provider refuses the first, or to try it.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.rotations import RotationState, SecretRotation, Trial, TrialResult
from keyrack.oauth.failure_classes import FailureClass, classify_failure
from keyrack.oauth.profile import ClientProfile
from keyrack.service.clients.secret_expiry import expiry_of

SAMPLE = 3
"""On how many connections a new secret is tried, unless somebody says otherwise."""
MOST_TRIED = 20
_TRIALS_KEPT = 50
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=6)
_SECRET = "client_secret"  # noqa: S105 - the name of a member


def secret_in_use(client: AuthClient) -> str:
    """Return the secret that requests of an auth client send; empty if it has none."""
    return str(client.credentials.get(_SECRET) or "")


def with_secret(client: AuthClient, secret: Secret) -> AuthClient:
    """Return an auth client that sends another secret."""
    return replace(client, credentials={**client.credentials, _SECRET: secret.reveal()})


def with_second_secret(profile: ClientProfile, client: OAuthClient | None) -> ClientProfile:
    """Return the profile of a tenant's OAuth client with its other live secret, if it has two."""
    if client is None or client.second_secret is None:
        return profile
    return replace(profile, second=replace(profile, client_secret=client.second_secret))


def second_after(profile: ClientProfile, error: ProviderError, final: Collection[str] = ()) -> ClientProfile | None:
    """Return a client with its other live secret, where the provider refuses the client; None: there is no other.

    Args:
        profile: as it was sent.
        error: what the provider said.
        final: codes after which only a new consent helps, by the provider's profile.
    """
    host = urlsplit(profile.token_endpoint).hostname or ""
    refused = classify_failure(error, host, final) is FailureClass.CLIENT_REJECTED
    return profile.second if refused else None


def begun(now: datetime, sample: int, expires_at: datetime | None) -> SecretRotation:
    """Return a rotation whose new secret has just been added.

    Args:
        now: the time.
        sample: on how many connections it is to be tried.
        expires_at: when the new secret ends, if somebody has said.
    """
    return SecretRotation(RotationState.trying, now, now, sample, other_expires_at=expires_at)


def moved(rotation: SecretRotation, state: RotationState, now: datetime, retires_after: timedelta) -> SecretRotation:
    """Return a rotation in another state, with nothing tried in it yet.

    Args:
        rotation: as it was.
        state: which secret is used from now on.
        now: the time.
        retires_after: how long the old secret is kept beside the new one.
    """
    retires_at = now + retires_after if state is RotationState.promoted else None
    return replace(rotation, state=state, changed_at=now, trials=(), misses=0, retires_at=retires_at)


def swapped_auth_client(
    client: AuthClient, state: RotationState, now: datetime, retires_after: timedelta
) -> tuple[AuthClient, Secret, SecretRotation]:
    """Return an auth client that uses its other secret; the secret that it used before, and the rotation then."""
    rotation, second = _both(client)
    used = Secret(secret_in_use(client))
    after = moved(replace(rotation, other_expires_at=client.expiry.at), state, now, retires_after)
    return replace(with_secret(client, second), expiry=expiry_of(rotation.other_expires_at, now)), used, after


def swapped_oauth_client(
    client: OAuthClient, state: RotationState, now: datetime, retires_after: timedelta
) -> tuple[OAuthClient, Secret, SecretRotation]:
    """As `swapped_auth_client`, of a tenant's OAuth client."""
    rotation, second = _both(client)
    after = moved(replace(rotation, other_expires_at=client.expiry.at), state, now, retires_after)
    fresh = replace(client, client_secret=second, expiry=expiry_of(rotation.other_expires_at, now))
    return fresh, client.client_secret, after


def after_other_worked(rotation: SecretRotation) -> RotationState:
    """Return the state after the provider refused the secret in use, and took the other one."""
    return RotationState.rolled_back if rotation.state is RotationState.promoted else RotationState.promoted


def tried(rotation: SecretRotation, trial: Trial) -> SecretRotation:
    """Return a rotation that remembers a trial of the new secret."""
    misses = 0 if trial.result is TrialResult.accepted else rotation.misses + 1
    return replace(rotation, trials=(*rotation.trials, trial)[-_TRIALS_KEPT:], misses=misses)


def next_try(rotation: SecretRotation, now: datetime) -> datetime:
    """Return when the new secret is tried again: at once while it is taken, else after a wait that doubles."""
    if rotation.misses == 0:
        return now
    doubled: timedelta = _FIRST_WAIT * 2 ** min(rotation.misses - 1, 20)
    return now + min(doubled, _LONGEST_WAIT)


def _both(client: AuthClient | OAuthClient) -> tuple[SecretRotation, Secret]:
    if client.rotation is None or client.second_secret is None:
        raise ValueError("the client's secret is not being rotated")
    return client.rotation, client.second_secret
