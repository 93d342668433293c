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
    process_registration,
)
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.clients.auth_client_credentials import (
    REGISTRATION,
    REGISTRATION_ACCESS_TOKEN,
    REGISTRATION_CLIENT_URI,
    REGISTRATION_ENDPOINT,
)
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.secrets.refresh.sending import send

INITIAL_ACCESS_TOKEN = "initial_access_token"  # noqa: S105 - the name of a member
_METHOD = "token_endpoint_auth_method"
_CLIENT_AUTH = {method.value: word for word, method in METHOD_OF.items()}


class ClientRegistrar:
    """Registers, reads, renews and deletes clients.

    Args:
        provider: calls authorization servers.
        allow_insecure: accept http addresses and private ones.
    """

    def __init__(self, provider: ProviderClient, *, allow_insecure: bool) -> None:
        self._provider = provider
        self._allow_insecure = allow_insecure

    async def register(
        self,
        server: IssuerMetadata,
        endpoint: str,
        own: Mapping[str, Any],
        redirect_uri: str,
        name: str,
        *,
        tenant_id: str,
        pointer: str | None,
    ) -> tuple[Json, datetime | None]:
        """Register a client.

        Args:
            server: what the authorization server says about itself.
            endpoint: where clients are registered.
            own: metadata that the caller wants, and an `initial_access_token`.
            redirect_uri: where browsers come back.
            name: of the client, for people who consent.
            tenant_id: whose connections are used.
            pointer: JSON pointer of what the caller said about the registration, for errors.

        Returns:
            Members of an auth client's credentials, and when the client's secret ends.

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
        answer = await send(self._provider, request, tenant_id=tenant_id)
        made = process_registration(answer, [] if initial is None else [initial], method)
        problem = self._unmanageable(made, endpoint)
        members = {REGISTRATION: metadata, REGISTRATION_ENDPOINT: endpoint, **_members(made, manageable=not problem)}
        return members, _ends(made)

    async def delete(self, credentials: Mapping[str, Any], *, tenant_id: str) -> None:
        """Delete a registration, if it can be; never fails."""
        uri, token = credentials.get(REGISTRATION_CLIENT_URI), credentials.get(REGISTRATION_ACCESS_TOKEN)
        if uri and token:
            with suppress(KeyrackError):
                await send(self._provider, build_delete_request(uri, Secret(token)), tenant_id=tenant_id)

    async def renew(self, credentials: Mapping[str, Any], *, tenant_id: str) -> tuple[Json, datetime | None]:
        """Read a registration again, and update it where that alone brings no later end of the secret.

        Args:
            credentials: of a registered auth client.
            tenant_id: whose connections are used.

        Returns:
            Members that change, as the server has them now, and when the secret ends.

        Raises:
            ProviderError: the registration is gone, or the server refuses.
            ProviderUnavailable: it did not answer.
        """
        uri, token = credentials[REGISTRATION_CLIENT_URI], Secret(credentials[REGISTRATION_ACCESS_TOKEN])
        secret = Secret(credentials.get("client_secret") or "")
        method = METHOD_OF[credentials.get("client_auth") or "post"]
        answer = await send(self._provider, build_read_request(uri, token), tenant_id=tenant_id)
        read = process_registration(answer, [token, secret], method)
        if not read.client_secret or read.client_secret == secret:
            token = read.access_token or token
            metadata = credentials.get(REGISTRATION) or {}
            request = build_update_request(uri, token, metadata, credentials["client_id"], secret)
            answer = await send(self._provider, request, tenant_id=tenant_id)
            read = process_registration(answer, [token, secret], method)
        if read.client_id != credentials["client_id"]:
            raise ProviderUnavailable("The registration is that of another client now.")
        kept = {REGISTRATION_ACCESS_TOKEN: (read.access_token or token).reveal()}
        return kept | ({"client_secret": read.client_secret.reveal()} if read.client_secret else {}), _ends(read)

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

    def _unmanageable(self, made: Registration, endpoint: str) -> bool:
        """Tell whether a registration cannot be managed: its address is no part of the server that was asked.

        The token of a registration goes there, and an address is only a text in an answer.
        """
        if not made.uri:
            return True
        try:
            check_uri(made.uri, allow_insecure=self._allow_insecure)
        except ValidationFailed:
            return True
        return origin_of(made.uri) != origin_of(endpoint)


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
