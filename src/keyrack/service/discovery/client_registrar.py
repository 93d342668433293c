"""Registers clients at authorization servers and keeps their registrations (RFC 7591, RFC 7592)."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import KeyrackError, Problem, ProviderUnavailable, ValidationFailed
from keyrack.model import Json
from keyrack.oauth.client_auth import METHOD_OF, TokenEndpointAuthMethod
from keyrack.oauth.dynamic_registration import (
    Registration,
    build_delete_request,
    build_read_request,
    build_registration_request,
    build_update_request,
    chosen_auth_method,
    client_metadata,
    process_deletion,
    process_registration,
)
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.oauth.wire import JsonRequest, QueryRequest, RawResponse
from keyrack.provider.client import ProviderClient
from keyrack.service.clients.auth_client_credentials import (
    REGISTRATION,
    REGISTRATION_ACCESS_TOKEN,
    REGISTRATION_CLIENT_URI,
    REGISTRATION_ENDPOINT,
)
from keyrack.service.discovery.registration_journal import RegistrationJournal
from keyrack.service.secrets.refresh.sending import send
from keyrack.store.attempts import AttemptResult

INITIAL_ACCESS_TOKEN = "initial_access_token"  # noqa: S105 - the name of a member
_METHOD = "token_endpoint_auth_method"
_CLIENT_AUTH = {method.value: word for word, method in METHOD_OF.items()}


class ClientRegistrar:
    """Registers, reads, renews and deletes clients.

    Args:
        provider: calls authorization servers.
        journal: writes down what must not be lost.
    """

    def __init__(self, provider: ProviderClient, journal: RegistrationJournal) -> None:
        self._provider = provider
        self.journal = journal

    async def register(
        self,
        server: IssuerMetadata,
        endpoint: str,
        own: Mapping[str, Any],
        redirect_uri: str,
        name: str,
        *,
        tenant_id: str,
        auth_client_id: str,
        pointer: str | None,
    ) -> tuple[Json, datetime | None, str | None]:
        """Register a client.

        Args:
            server: what the authorization server says about itself.
            endpoint: where clients are registered.
            own: metadata that the caller wants, and an `initial_access_token`.
            redirect_uri: where browsers come back.
            name: of the client, for people who consent.
            tenant_id: whose connections are used.
            auth_client_id: id of the auth client that is to be made.
            pointer: JSON pointer of what the caller said about the registration, for errors.

        Returns:
            Members of an auth client's credentials, when the client's secret ends, and the id of the attempt, which
            is to land with the client, if there is one.

        Raises:
            ValidationFailed: the server takes no way of authentication that Keyrack knows, or names what may not be
                called.
            ProviderError: it refuses, or registers what cannot be used.
            ProviderUnavailable: it did not answer.
        """
        method = self._method(server, own, pointer)
        wanted = {key: value for key, value in own.items() if key != INITIAL_ACCESS_TOKEN}
        metadata = {**client_metadata(server, redirect_uri, name, method), **wanted}
        token = own.get(INITIAL_ACCESS_TOKEN)
        initial = Secret(token) if isinstance(token, str) and token else None
        request = build_registration_request(endpoint, metadata, initial)
        attempt_id, answer = await self.journal.register(tenant_id, auth_client_id, endpoint, request)
        try:
            made = process_registration(answer, [] if initial is None else [initial], method)
        except KeyrackError:
            await self.journal.settle(tenant_id, attempt_id, AttemptResult.refused)
            raise
        manageable = self.journal.manages(made, endpoint)
        members = {REGISTRATION: metadata, REGISTRATION_ENDPOINT: endpoint, **_members(made, manageable=manageable)}
        return members, _ends(made), attempt_id

    async def delete(self, credentials: Mapping[str, Any], attempt_id: str | None, *, tenant_id: str) -> None:
        """Delete a registration whose client is stored nowhere; never fails.

        Where the server cannot be asked now, the attempt stays open, and recovery has it deleted later.
        """
        uri, token = credentials.get(REGISTRATION_CLIENT_URI), credentials.get(REGISTRATION_ACCESS_TOKEN)
        with suppress(KeyrackError):
            if uri and token:
                request = build_delete_request(uri, Secret(token))
                if not process_deletion(await send(self._provider, request, tenant_id=tenant_id)):
                    return
            await self.journal.settle(tenant_id, attempt_id, AttemptResult.superseded)

    def _method(self, server: IssuerMetadata, own: Mapping[str, Any], pointer: str | None) -> TokenEndpointAuthMethod:
        asked = own.get(_METHOD)
        if asked is not None:
            known = [each.value for each in (*METHOD_OF.values(),) if each.value in _REGISTERED]
            if asked not in known:
                raise ValidationFailed(Problem(f"must be one of {', '.join(known)}", f"{pointer or ''}/{_METHOD}"))
            return TokenEndpointAuthMethod(asked)
        method = chosen_auth_method(server.token_endpoint_auth_methods)
        if method is None:
            raise ValidationFailed(
                Problem("the server takes no way of client authentication that Keyrack has", pointer)
            )
        return method


def read_request(credentials: Mapping[str, Any]) -> QueryRequest:
    """Return the request that reads the registration of an auth client."""
    return build_read_request(credentials[REGISTRATION_CLIENT_URI], Secret(credentials[REGISTRATION_ACCESS_TOKEN]))


def update_request(credentials: Mapping[str, Any]) -> JsonRequest:
    """Return the request that updates a registration with what it has already, which may renew its secret."""
    return build_update_request(
        credentials[REGISTRATION_CLIENT_URI],
        Secret(credentials[REGISTRATION_ACCESS_TOKEN]),
        credentials.get(REGISTRATION) or {},
        credentials["client_id"],
        Secret(credentials.get("client_secret") or ""),
    )


def told(answer: RawResponse, credentials: Mapping[str, Any]) -> tuple[Json, datetime | None]:
    """Interpret an answer about the registration of an auth client.

    Args:
        answer: to `read_request` or `update_request`.
        credentials: that the request was made of.

    Returns:
        Members as the server has them now, and when the secret ends.

    Raises:
        ProviderError: the registration is gone, or the server refuses.
        ProviderUnavailable: it could not do it now, or tells of another client.
    """
    token, secret = Secret(credentials[REGISTRATION_ACCESS_TOKEN]), Secret(credentials.get("client_secret") or "")
    read = process_registration(answer, [token, secret], METHOD_OF[credentials.get("client_auth") or "post"])
    if read.client_id != credentials["client_id"]:
        raise ProviderUnavailable("The registration is that of another client now.")
    kept = {REGISTRATION_ACCESS_TOKEN: (read.access_token or token).reveal()}
    return kept | ({"client_secret": read.client_secret.reveal()} if read.client_secret else {}), _ends(read)


_REGISTERED = frozenset(method.value for method in METHOD_OF.values()) - {
    TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW.value
}


def _members(made: Registration, *, manageable: bool) -> Json:
    members: Json = {"client_id": made.client_id, "client_auth": _CLIENT_AUTH[made.auth_method.value]}
    if made.client_secret:
        members["client_secret"] = made.client_secret.reveal()
    if manageable:
        members |= {REGISTRATION_CLIENT_URI: made.uri, REGISTRATION_ACCESS_TOKEN: made.access_token.reveal()}
    return members


def _ends(made: Registration) -> datetime | None:
    ends = made.secret_expires_at if made.client_secret else None
    return None if ends is None else datetime.fromtimestamp(ends, UTC)
