"""Chooses which of a client's live secrets a refresh sends (decision 47).

The secret in use comes first. Where the provider refuses what may be the client, the client is read again, since
somebody may have changed it meanwhile, and every live secret that was not sent yet is, before the client counts as
failed. Of a client that is refused no grant was looked at (RFC 6749 section 5.2): no refresh token is used up by that.

A trial turns the order round: the new secret comes first. Whatever the provider then refuses, the one in use has the
last word on the grant: some providers answer a wrong secret as if the refresh token were wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.model.clients import AuthClient
from keyrack.model.rotations import TrialResult
from keyrack.oauth.failure_classes import FailureClass, blames_client_alone, classify_failure
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.clients.auth_client_profile import final_errors, refresh_host
from keyrack.service.clients.live_secrets import secret_in_use, with_secret
from keyrack.service.clients.secret_swap import SecretSwaps, has_other
from keyrack.service.secrets.refresh.outcome import Result, is_ambiguous
from keyrack.store.attempts import Attempt
from keyrack.store.auth_clients import find_usable
from keyrack.store.core.store import Store

_MAY_BE_SECRET = frozenset({FailureClass.CLIENT_REJECTED, FailureClass.OTHER})


@dataclass(slots=True)
class SecretTrial:
    """A request to try a secret on one connection, and what came of it.

    Attributes:
        secret: the new one.
        result: None: it was not sent.
        error: the provider's code, or why there is none.
    """

    secret: Secret
    result: TrialResult | None = None
    error: str | None = None


class SecretChoice:
    """Finds further secrets, and has those used that work."""

    def __init__(self, store: Store, swaps: SecretSwaps) -> None:
        self._store = store
        self._swaps = swaps

    async def next(
        self, tenant_id: str, client: AuthClient, sent: Mapping[str, Result], trial: SecretTrial | None
    ) -> AuthClient | None:
        """Return the client as it is now with a live secret that was not sent yet; None: what was answered counts.

        Args:
            tenant_id: whose grant it is.
            client: as it was sent last.
            sent: the answers by the secrets that were sent.
            trial: the trial that this is, if it is one.
        """
        last = sent[secret_in_use(client)]
        first = trial is not None and secret_in_use(client) == trial.secret.reveal()
        if not _may_be_secret(last, client, tried=first):
            return None
        async with self._store.unit(tenant_id) as unit:
            now = await find_usable(unit, client.id)
        other = None if now is None else has_other(now, set(sent))
        return None if now is None or other is None else with_secret(now, other)

    async def stored(self, tenant_id: str, client: AuthClient) -> AuthClient:
        """Return a client as it is stored; as it was, if it is gone."""
        async with self._store.unit(tenant_id) as unit:
            return await find_usable(unit, client.id) or client

    async def worked(self, tenant_id: str, client: AuthClient, *, fell_back: bool) -> None:
        """Use the secret of a client that brought tokens from now on, after another one was refused."""
        if fell_back:
            await self._swaps.other_worked(tenant_id, client, secret_in_use(client))


def first_client(client: AuthClient, trial: SecretTrial | None) -> AuthClient:
    """Return a client with the secret that is sent first: of a trial the new one, if it is still live."""
    second = client.second_secret
    if trial is None or second is None or second.reveal() != trial.secret.reveal():
        return client
    return with_secret(client, second)


def judge_trial(trial: SecretTrial, sent: Mapping[str, Result], client: AuthClient) -> None:
    """Note what answers say of a secret that was tried.

    It is refused for sure where the provider blames the client alone, or where another secret brought tokens for the
    same grant; else the grant itself may be at fault.
    """
    own = sent.get(trial.secret.reveal())
    if own is None:
        return
    if isinstance(own, TokenResponse):
        trial.result = TrialResult.accepted
        return
    failure = own.failure
    trial.error = failure.error or failure.reason or (None if failure.status is None else f"status {failure.status}")
    certain = isinstance(own, ProviderError) and _kind(own, client) is FailureClass.CLIENT_REJECTED
    certain = certain and isinstance(own, ProviderError) and blames_client_alone(own)
    others = any(isinstance(each, TokenResponse) for each in sent.values())
    trial.result = TrialResult.refused if certain or others else TrialResult.unclear


def final_result(sent: Mapping[str, Result], last: Result, stored: AuthClient) -> tuple[Result, bool]:
    """Return which answer counts when none of several secrets brought tokens, and whether it is not the last.

    That of the secret in use, unless the last one says more: that the grant is dead, or nothing for certain.
    """
    own = sent.get(secret_in_use(stored))
    if own is None or own is last or not _may_be_secret(last, stored, tried=False):
        return last, False
    return own, True


def is_outdated(client: AuthClient, attempt: Attempt, result: Result) -> bool:
    """Tell whether a refusal that landed was perhaps of a secret that the client does not use any more."""
    changed = client.updated_at is not None and client.updated_at > attempt.started_at
    may_be = isinstance(result, ProviderError) and not is_ambiguous(result)
    return may_be and (client.second_secret is not None or changed)


def _may_be_secret(result: Result, client: AuthClient, *, tried: bool) -> bool:
    if not isinstance(result, ProviderError) or result.failure.status is None or is_ambiguous(result):
        return False
    kind = _kind(result, client)
    return kind is not FailureClass.TEMPORARY if tried else kind in _MAY_BE_SECRET


def _kind(result: ProviderError, client: AuthClient) -> FailureClass:
    return classify_failure(result, refresh_host(client), final_errors(client))
