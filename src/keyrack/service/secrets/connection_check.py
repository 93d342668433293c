"""Tests a connection with one real request to the provider, and says in plain words how that went (decision 33)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import KeyrackError, NotFound, ProviderError, ProviderUnavailable
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.oauth.account import AccountSource, account_of
from keyrack.oauth.dpop import is_bound
from keyrack.oauth.profile import ClientProfile
from keyrack.service.authz.access import Access
from keyrack.service.authz.freezing import require_thawed
from keyrack.service.clients.auth_client_profile import client_profile
from keyrack.service.secrets.introspection import Introspection
from keyrack.service.secrets.refresh.refresh_by_hand import FreshTokens
from keyrack.service.secrets.refresh.tokens import TYPE
from keyrack.service.secrets.status import current_status
from keyrack.service.secrets.userinfo import UserInfo, UserInfoAnswer
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store

REFRESH = "workspaces.auth_secret.refresh"
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_AWAITS_CUTOVER = "The connection was imported, and its provider is asked nothing before its import is cut over."


class CheckResult(StrEnum):
    """How a test of a connection ended."""

    works = "works"
    """The provider took the token."""
    renewed = "renewed"
    """The provider gave a new token; there is no address to try it at."""
    refused = "refused"
    """The provider does not take it, or does not renew it."""
    unclear = "unclear"
    """The provider did not answer, or not in a way that tells."""
    impossible = "impossible"
    """There is nothing to test with."""


@dataclass(frozen=True, slots=True)
class ConnectionCheck:
    """What a test has found.

    Attributes:
        result: how it ended.
        text: the same for a person.
        said: the provider's words, as far as there are any: `error`, `error_description`, `error_uri`.
    """

    result: CheckResult
    text: str
    said: Mapping[str, str] = field(default_factory=dict)


class ConnectionChecks:
    """Tests connections.

    Args:
        store: where they are.
        access: the way into every operation.
        freshness: renews tokens.
        userinfo: asks whose token it is.
        introspection: asks whether it works, where a provider profile says at which address.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        freshness: FreshTokens,
        userinfo: UserInfo,
        introspection: Introspection,
    ) -> None:
        self._store = store
        self._access = access
        self._freshness = freshness
        self._userinfo = userinfo
        self._introspection = introspection

    async def test(self, who: Principal, workspace_id: str, secret_id: str) -> ConnectionCheck:
        """Try the token where the provider tells whose it is, else where it tells whether it works, else renew it.

        An expired token is renewed first, and so is one that the provider no longer takes. Whose account it is, is
        noted when the provider tells.

        Raises:
            NotFound: the workspace has no such secret.
            Forbidden: the caller lacks the permission to refresh it.
        """
        async with self._access.workspace(who, workspace_id, "secret.test") as scope:
            scope.require(REFRESH)
            stored = await AuthSecrets(scope.unit).find(secret_id)
            if stored is None or stored.workspace_id != workspace_id:
                raise NotFound("there is no such secret in this workspace")
            await require_thawed(scope.unit, stored.tenant_id, stored.auth_client_id)
            client = await find_usable(scope.unit, stored.auth_client_id)
            scope.audit_target("auth-secret", secret_id)
        if client is None or not is_oauth2(stored.type):
            text = "Keyrack keeps these credentials, and does not know how the provider would check them."
            return ConnectionCheck(CheckResult.impossible, text)
        profile = client_profile(client, stored.auth_method, stored.credentials)
        uri = stored.userinfo_uri or profile.account.userinfo_uri
        if uri is not None:
            return await self._tried(stored, client, profile, uri)
        if profile.introspection_endpoint is not None:
            return await self._introspected(stored, client, profile, profile.introspection_endpoint)
        return await self._renewed(stored)

    async def _renewed(self, secret: AuthSecret) -> ConnectionCheck:
        """Report what the provider says to a refresh."""
        if not secret.refreshable:
            text = (
                "The provider gave no refresh token, and there is no address to try the token at: set userinfo_uri of"
                " the auth client to test such connections."
            )
            return ConnectionCheck(CheckResult.impossible, text)
        if secret.cutover_batch_id is not None:
            return ConnectionCheck(CheckResult.impossible, _AWAITS_CUTOVER)
        try:
            await self._freshness.refresh(secret)
        except (ProviderError, ProviderUnavailable) as error:
            return _failed(error)
        return ConnectionCheck(CheckResult.renewed, "The provider renewed the token just now.")

    async def _introspected(
        self, secret: AuthSecret, client: AuthClient, profile: ClientProfile, endpoint: str
    ) -> ConnectionCheck:
        """Report what the provider says of the token (RFC 7662); one that does not work is renewed once."""
        secret = await self._freshness.before_read(secret, 0)
        ended = self._ended(secret, client)
        if ended is not None:
            return ended
        try:
            answer = await self._introspection.ask(endpoint, profile, secret)
            if answer.active is False and secret.may_be_renewed:
                secret = await self._freshness.refresh(secret)
                answer = await self._introspection.ask(endpoint, profile, secret)
        except (ProviderError, ProviderUnavailable) as error:
            return _failed(error)
        except KeyrackError as error:
            return ConnectionCheck(CheckResult.impossible, f"The token could not be tried: {error}")
        if answer.active is None:
            return ConnectionCheck(CheckResult.unclear, answer.text, answer.said)
        if not answer.active:
            text = "The provider says that the token does not work. Connect the account again."
            return ConnectionCheck(CheckResult.refused, text)
        await self._note(secret, profile.account, answer.members, secret.userinfo_uri)
        return ConnectionCheck(CheckResult.works, "The provider says that the token works.")

    def _ended(self, secret: AuthSecret, client: AuthClient) -> ConnectionCheck | None:
        """Return why a token is not tried; None: it is."""
        status = current_status(secret, client, self._store.clock())
        if status.state is not SecretState.error:
            return None
        failure = secret.failure
        words = {} if failure is None else {"error": failure.error, "error_description": failure.error_description}
        said = {name: text for name, text in words.items() if text}
        return ConnectionCheck(CheckResult.refused, status.error or "The token cannot be used.", said)

    async def _tried(self, secret: AuthSecret, client: AuthClient, profile: ClientProfile, uri: str) -> ConnectionCheck:
        secret = await self._freshness.before_read(secret, 0)
        ended = self._ended(secret, client)
        if ended is not None:
            return ended
        try:
            answer = await self._ask(secret, uri, profile)
            if answer.status == _UNAUTHORIZED and secret.may_be_renewed:
                secret = await self._freshness.refresh(secret)
                answer = await self._ask(secret, uri, profile)
        except (ProviderError, ProviderUnavailable) as error:
            return _failed(error)
        except KeyrackError as error:
            return ConnectionCheck(CheckResult.impossible, f"The token could not be tried: {error}")
        if answer.members is not None:
            await self._note(secret, profile.account, answer.members, uri)
        return _told(answer)

    async def _ask(self, secret: AuthSecret, uri: str, profile: ClientProfile) -> UserInfoAnswer:
        token = Secret(str(secret.credentials.get("access_token") or ""))
        key = secret.dpop_key if is_bound(secret.credentials.get(TYPE)) else None
        shown = profile.certificate
        return await self._userinfo.ask(uri, token, tenant_id=secret.tenant_id, proof_key=key, certificate=shown)

    async def _note(self, secret: AuthSecret, source: AccountSource, told: Mapping[str, Any], uri: str | None) -> None:
        """Write down whose account it is, if the provider says something else than is known."""
        kept = secret.credentials.get("undefined_params")
        sent = [Secret(str(secret.credentials.get(name) or "")) for name in ("access_token", "refresh_token")]
        found = account_of(
            source, response=kept if isinstance(kept, Mapping) else {}, claims={}, userinfo=told, sent=sent
        )
        if found.label is None or (found == secret.account and uri == secret.userinfo_uri):
            return
        async with self._store.unit(secret.tenant_id, writes=True) as unit:
            await AuthSecrets(unit).identify(secret, found, uri)


def _failed(error: ProviderError | ProviderUnavailable) -> ConnectionCheck:
    refused = isinstance(error, ProviderError)
    return ConnectionCheck(CheckResult.refused if refused else CheckResult.unclear, str(error), error.failure.said)


def _told(answer: UserInfoAnswer) -> ConnectionCheck:
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
        return ConnectionCheck(CheckResult.works, "The provider took the token just now.")
    if status == _UNAUTHORIZED:
        text = "The provider does not take the token (status 401). Connect the account again."
        return ConnectionCheck(CheckResult.refused, text, answer.said)
    if status == _FORBIDDEN:
        text = (
            "The provider knows the token, but does not let it read whose account it is (status 403). Perhaps a scope"
            " is missing."
        )
        return ConnectionCheck(CheckResult.refused, text, answer.said)
    return ConnectionCheck(CheckResult.unclear, f"The provider's answer does not tell (status {status}).", answer.said)
