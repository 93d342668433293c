"""Registering clients at an authorization server (RFC 7591), reading, changing and deleting them (RFC 7592)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.oauth.provider_text import error_meta, has_controls
from keyrack.oauth.wire import ANSWER_FAULTS, JsonRequest, QueryRequest, RawResponse

_OK, _CREATED, _SERVER_ERROR, _TOO_MANY = 200, 201, 500, 429
_GONE = frozenset({200, 204, 401, 403, 404, 405})
"""After these nothing is left to do: a registration is gone, or cannot be deleted (RFC 7592 section 2.3)."""
_MAX_TEXT = 4096
_LAST_SECOND = 253_000_000_000
_PREFERRED = (
    TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
    TokenEndpointAuthMethod.CLIENT_SECRET_POST,
    TokenEndpointAuthMethod.NONE,
)
CODE_GRANTS = ("authorization_code", "refresh_token")
_NONE = Secret("")
_UNUSABLE = "The authorization server registered the client in a way that Keyrack cannot use"


@dataclass(frozen=True, slots=True)
class Registration:
    """A client as an authorization server has registered it (RFC 7591 section 3.2.1).

    Attributes:
        client_id: its identifier.
        client_secret: its secret; empty for a public client.
        auth_method: how it authenticates.
        secret_expires_at: when the secret ends, in seconds since 1970; None: it does not, or nobody says.
        access_token: with which the registration can be read and changed (RFC 7592); empty if it cannot.
        uri: where that is done; empty if it cannot.
        scope: that it may ask for, if the server says so.
    """

    client_id: str
    client_secret: Secret
    auth_method: TokenEndpointAuthMethod
    secret_expires_at: int | None = None
    access_token: Secret = _NONE
    uri: str = field(default="", repr=False)
    scope: str = ""


def chosen_auth_method(supported: Sequence[str] | None) -> TokenEndpointAuthMethod | None:
    """Return how a client is to authenticate at a server: the best of what it takes and we do; None: there is none.

    Args:
        supported: `token_endpoint_auth_methods_supported`; None means `client_secret_basic` (RFC 8414 section 2).
    """
    taken = {TokenEndpointAuthMethod.CLIENT_SECRET_BASIC.value} if supported is None else set(supported)
    return next((method for method in _PREFERRED if method.value in taken), None)


def client_metadata(
    server: IssuerMetadata, redirect_uri: str, name: str, method: TokenEndpointAuthMethod
) -> dict[str, Any]:
    """Return what a client is registered with (RFC 7591 section 2).

    `refresh_token` is asked for unless the server says that it does not know it.
    """
    known = server.grant_types
    grants = [grant for grant in CODE_GRANTS if known is None or grant in known or grant == CODE_GRANTS[0]]
    return {
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": method.value,
        "grant_types": grants,
        "response_types": ["code"],
        "client_name": name,
    }


def build_registration_request(
    endpoint: str, metadata: Mapping[str, Any], initial_access_token: Secret | None = None
) -> JsonRequest:
    """Return the request that registers a client (RFC 7591 section 3.1).

    Args:
        endpoint: `registration_endpoint`.
        metadata: of the client.
        initial_access_token: with which the server lets it register, if it wants one.
    """
    bearer = None if initial_access_token is None else _bearer(initial_access_token)
    return JsonRequest(endpoint, dict(metadata), authorization=bearer)


def build_read_request(uri: str, access_token: Secret) -> QueryRequest:
    """Return the request that reads a registration (RFC 7592 section 2.1)."""
    return QueryRequest(uri, (), _bearer(access_token))


def build_update_request(
    uri: str, access_token: Secret, metadata: Mapping[str, Any], client_id: str, client_secret: Secret
) -> JsonRequest:
    """Return the request that replaces a registration (RFC 7592 section 2.2) with all of its metadata."""
    secret = {"client_secret": client_secret.reveal()} if client_secret else {}
    return JsonRequest(uri, {**metadata, "client_id": client_id, **secret}, "PUT", _bearer(access_token))


def build_delete_request(uri: str, access_token: Secret) -> JsonRequest:
    """Return the request that deletes a registration (RFC 7592 section 2.3)."""
    return JsonRequest(uri, None, "DELETE", _bearer(access_token))


def process_registration(
    response: RawResponse, sent: Sequence[Secret] = (), default: TokenEndpointAuthMethod | None = None
) -> Registration:
    """Return the client that a server has registered, or tells of (RFC 7591 section 3.2.1, RFC 7592 section 3).

    Args:
        response: to a request that registers, reads or updates.
        sent: secrets of the request, masked should the server echo one.
        default: how the client authenticates if the answer does not say so: as was asked for.

    Raises:
        ProviderUnavailable: the server could not do it now, or its answer did not arrive whole.
        ProviderError: it refused, or registered something that cannot be used.
    """
    members = _members(response)
    if response.fault is not None or response.status == _TOO_MANY or response.status >= _SERVER_ERROR:
        reason = "The authorization server could not register the client now."
        text = reason if response.fault is None else ANSWER_FAULTS[response.fault]
        raise ProviderUnavailable(text, ProviderFailure(status=response.status or None, received=True))
    if response.status not in (_OK, _CREATED):
        said = error_meta(members, sent)
        raise ProviderError(
            "The authorization server refused to register the client.", ProviderFailure(status=response.status, **said)
        )
    client_id, secret = _text(members, "client_id"), _text(members, "client_secret")
    if not client_id:
        raise ProviderError(f"{_UNUSABLE}: it named no client_id.", ProviderFailure(status=response.status))
    method = _auth_method(members, default)
    if method is None or (method is not TokenEndpointAuthMethod.NONE and not secret):
        raise ProviderError(f"{_UNUSABLE}: its token_endpoint_auth_method or secret.", ProviderFailure())
    uri, token = _text(members, "registration_client_uri"), _text(members, "registration_access_token")
    return Registration(
        client_id,
        Secret("" if method is TokenEndpointAuthMethod.NONE else secret),
        method,
        _second(members.get("client_secret_expires_at")),
        Secret(token if uri else ""),
        uri if token else "",
        _text(members, "scope"),
    )


def process_deletion(response: RawResponse) -> bool:
    """Tell whether a registration is gone, or cannot be deleted at all; False: it is worth another try."""
    return response.fault is None and response.status in _GONE


def _auth_method(members: Mapping[str, Any], default: TokenEndpointAuthMethod | None) -> TokenEndpointAuthMethod | None:
    said = members.get("token_endpoint_auth_method")
    if said is None:
        return default or TokenEndpointAuthMethod.CLIENT_SECRET_BASIC  # RFC 7591 section 2
    return next((method for method in _PREFERRED if method.value == said), None)


def _second(value: object) -> int | None:
    """Return `client_secret_expires_at`; 0 says that the secret does not end (RFC 7591 section 3.2.1)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(_LAST_SECOND)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LAST_SECOND:
        return None
    return int(value)


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT and not has_controls(value) else ""


def _members(response: RawResponse) -> Mapping[str, Any]:
    try:
        found = parse_answer(response)
    except NotUnderstood:
        return {}
    return {} if found.cut else found.values


def _bearer(token: Secret) -> Secret:
    return Secret(f"Bearer {token.reveal()}")
