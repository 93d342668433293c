"""The client for threads."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from keyrack.client import calls
from keyrack.client.errors import Unexpected
from keyrack.client.results import (
    AuthClient,
    AuthSecret,
    Component,
    Contract,
    Credential,
    Flow,
    OAuthClient,
    User,
    Workspace,
)
from keyrack.client.sending import Account, answer_of, pause_after, pause_after_fault, timeouts
from keyrack.crypto.secret import Secret

T = TypeVar("T")


class Keyrack:
    """Speaks to Keyrack; may be used by many threads at once. `AsyncKeyrack` is the same for asyncio.

    Every call raises `Refused` (one of its classes) for what Keyrack refuses, `Unreachable` when there is no answer,
    and `Unexpected` when something else answers. Safe requests are tried three times.

    Args:
        base_url: Keyrack's address, with or without a slash at the end.
        username: an email address, or the name of a service account or task user.
        api_key: its key.
        timeout: seconds for each try.
        http: an httpx2 client to use, for proxies or certificates of your own; it is not closed here.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        api_key: str | Secret,
        *,
        timeout: float = 30.0,
        http: httpx2.Client | None = None,
    ) -> None:
        self._account = Account.of(base_url, username, api_key)
        self._timeout = timeouts(timeout)
        self._own = http is None
        self._http = httpx2.Client() if http is None else http

    @classmethod
    def from_environment(
        cls, variables: Mapping[str, str] | None = None, *, timeout: float = 30.0, http: httpx2.Client | None = None
    ) -> Self:
        """Make one from `ELASTICIO_API_URI`, `ELASTICIO_API_USERNAME` and `ELASTICIO_API_KEY`, as a component has them.

        Raises:
            Misconfigured: one is missing or wrong.
        """
        account = Account.from_environment(variables)
        return cls(account.base_url, account.username, account.api_key, timeout=timeout, http=http)

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def secret(self, workspace_id: str, secret_id: str, *, min_validity: int | None = None) -> AuthSecret:
        """Return an auth secret (15.2).

        Args:
            workspace_id: its workspace.
            secret_id: its id.
            min_validity: seconds, 0 to 86400, for which the token must be good; without it, the stored one is returned
                when it cannot be renewed, and `state` and `expires_at` tell.

        Raises:
            TokenNotValid: the token is not good for `min_validity` seconds and cannot be renewed.
        """
        return self._run(calls.secret(workspace_id, secret_id, min_validity))

    def refresh(self, workspace_id: str, secret_id: str) -> AuthSecret:
        """Refresh an auth secret's token now; return the secret with the new one (15.3). Sent once.

        Raises:
            NotRefreshable: it has no refresh token.
            ProviderFault: the authorization server refused or could not be reached.
        """
        return self._run(calls.refresh(workspace_id, secret_id))

    def dpop_proof(
        self, workspace_id: str, secret_id: str, method: str, url: str, *, nonce: str | None = None
    ) -> Secret:
        """Return what goes into the header `DPoP` of one request with a secret's bound token (RFC 9449).

        Args:
            workspace_id: its workspace.
            secret_id: its id. The proof goes with the access token that it has now.
            method: of the request.
            url: where the request goes.
            nonce: what its server has sent in `DPoP-Nonce`, if it has.

        Raises:
            Refused: the token is not bound to a key, or the request cannot be one.
        """
        return self._run(calls.dpop_proof(workspace_id, secret_id, method, url, nonce))

    def secrets(
        self,
        workspace_id: str,
        *,
        user_id: str | None = None,
        auth_client_id: str | None = None,
        state: str | None = None,
    ) -> Iterator[AuthSecret]:
        """Go through a workspace's auth secrets."""
        return self._all(calls.secrets(workspace_id, user_id, auth_client_id, state))

    def me(self) -> User:
        """Return the user who asks."""
        return self._run(calls.me())

    def contract(self, contract_id: str) -> Contract:
        """Return a contract."""
        return self._run(calls.contract(contract_id))

    def contracts(self) -> Iterator[Contract]:
        """Go through the contracts the caller sees."""
        return self._all(calls.contracts())

    def workspace(self, workspace_id: str) -> Workspace:
        """Return a workspace."""
        return self._run(calls.workspace(workspace_id))

    def workspaces(self, *, contract_id: str | None = None) -> Iterator[Workspace]:
        """Go through the workspaces the caller sees, of one contract or of all."""
        return self._all(calls.workspaces(contract_id))

    def flow(self, flow_id: str) -> Flow:
        """Return a flow."""
        return self._run(calls.flow(flow_id))

    def flows(self, workspace_id: str, *, status: str | None = None, search: str | None = None) -> Iterator[Flow]:
        """Go through a workspace's flows, only those with a status (`active`, `inactive`) or a text in them."""
        return self._all(calls.flows(workspace_id, status, search))

    def component(self, component_id: str) -> Component:
        """Return a component."""
        return self._run(calls.component(component_id))

    def components(self, contract_id: str) -> Iterator[Component]:
        """Go through the components that a contract can use."""
        return self._all(calls.components(contract_id))

    def credential(self, credential_id: str) -> Credential:
        """Return a credential of the first generation."""
        return self._run(calls.credential(credential_id))

    def credentials(self, workspace_id: str, *, component_id: str | None = None) -> Iterator[Credential]:
        """Go through a workspace's credentials, of one component or of all."""
        return self._all(calls.credentials(workspace_id, component_id))

    def oauth_client(self, tenant_id: str, client_id: str) -> OAuthClient:
        """Return an OAuth client by its own id, which is not the provider's client id."""
        return self._run(calls.oauth_client(tenant_id, client_id))

    def oauth_clients(self, tenant_id: str, *, component_id: str | None = None) -> Iterator[OAuthClient]:
        """Go through a tenant's OAuth clients; there is at most one for a component."""
        return self._all(calls.oauth_clients(tenant_id, component_id))

    def auth_client(self, auth_client_id: str) -> AuthClient:
        """Return an auth client."""
        return self._run(calls.auth_client(auth_client_id))

    def auth_clients(
        self,
        *,
        workspace_id: str | None = None,
        contract_id: str | None = None,
        tenant_id: str | None = None,
        component_id: str | None = None,
    ) -> Iterator[AuthClient]:
        """Go through the auth clients available at a scope; without one, the global ones."""
        return self._all(calls.auth_clients(workspace_id, contract_id, tenant_id, component_id))

    def _all(self, pages: calls.Pages[T]) -> Iterator[T]:
        number, last = 1, 1
        while number <= last:
            found, last = self._run(pages.numbered(number))
            yield from found
            number += 1

    def _run(self, call: calls.Asked[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                answer = answer_of(self._sent(call))
                pause = pause_after(call.method, answer, tries)
                if pause is None:
                    return call.result(answer)
            except httpx2.TransportError as error:
                pause = pause_after_fault(call.method, tries)
                if pause is None:
                    raise self._account.unreachable(error, tries, f"{call.method} {call.path}") from error
            except httpx2.RequestError as error:
                raise Unexpected(f"{type(error).__name__}: {call.method} {call.path}") from error
            time.sleep(pause)

    def _sent(self, call: calls.Asked[Any]) -> httpx2.Response:
        return self._http.request(
            call.method,
            self._account.base_url + call.path,
            params=dict(call.params),
            json=call.body,
            headers={"accept": "application/json"},
            auth=self._account.auth,
            timeout=self._timeout,
            follow_redirects=False,
        )
