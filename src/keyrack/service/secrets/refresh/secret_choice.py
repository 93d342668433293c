"""Chooses which of a client's live secrets a refresh sends (decision 47).

The secret in use comes first. Whatever the provider refuses, the client is read again, since somebody may have changed
it meanwhile, and every live secret that was not sent yet is, before the refusal counts. Of a client that is refused no
grant was looked at (RFC 6749 section 5.2): no refresh token is used up by that. Some providers answer a wrong secret as
if the refresh token were wrong, so a refusal of that asks for the other secret too.

A trial turns the order round: the new secret comes first. When all are refused, the first is sent once more: the
provider may have changed over between two calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

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

Sent = tuple[str, Result]
"""A secret that was sent, and what the provider answered."""


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

    async def next(self, tenant_id: str, client: AuthClient, sent: Sequence[Sent]) -> AuthClient | None:
        """Return the client as it is now with the live secret to be sent next; None: what was answered counts.

        Args:
            tenant_id: whose grant it is.
            client: as it was sent last.
            sent: what was sent, in order; the last with this client.
        """
        if not _may_be_secret(sent[-1][1], client):
            return None
        async with self._store.unit(tenant_id) as unit:
            now = await find_usable(unit, client.id)
        if now is None:
            return None
        used = {secret for secret, _ in sent}
        other = has_other(now, used)
        if other is None and 1 < len(used) == len(sent):
            other = has_other(now, used - {sent[0][0]})
        return None if other is None else with_secret(now, other)

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
    blamed = _is(own, FailureClass.CLIENT_REJECTED, client) and blames_client_alone(own)
    others = any(isinstance(each, TokenResponse) for each in sent.values())
    trial.result = TrialResult.refused if blamed or others else TrialResult.unclear


def final_result(sent: Mapping[str, Result], last: Result, stored: AuthClient) -> tuple[Result, bool]:
    """Return which answer counts when none of several secrets brought tokens, and whether it is not the last.

    That of the secret in use; where it was not let in, that of another which was told of the grant. The last one, if
    it says nothing for certain.
    """
    if not _may_be_secret(last, stored):
        return last, False
    own = sent.get(secret_in_use(stored), last)
    if _is(own, FailureClass.CLIENT_REJECTED, stored):
        own = next((each for each in sent.values() if _is(each, FailureClass.GRANT_DEAD, stored)), own)
    return own, own is not last


def is_outdated(client: AuthClient, attempt: Attempt, result: Result) -> bool:
    """Tell whether a refusal that landed was perhaps of a secret that the client does not use any more."""
    changed = client.updated_at is not None and client.updated_at > attempt.started_at
    may_be = isinstance(result, ProviderError) and not is_ambiguous(result)
    return may_be and (client.second_secret is not None or changed)


def _may_be_secret(result: Result, client: AuthClient) -> bool:
    """Tell whether a provider has refused a request for certain, and perhaps for its secret."""
    if not isinstance(result, ProviderError) or result.failure.status is None or is_ambiguous(result):
        return False
    return not _is(result, FailureClass.TEMPORARY, client)


def _is(result: Result, kind: FailureClass, client: AuthClient) -> TypeGuard[ProviderError]:
    """Tell whether a provider has refused a request in a certain way."""
    if not isinstance(result, ProviderError):
        return False
    return classify_failure(result, refresh_host(client), final_errors(client)) is kind
