"""Registers clients (RFC 7591) and lets them read, change and delete themselves (RFC 7592)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION, WWW_AUTHENTICATE

from keyrack.crypto.secret import Secret
from keyrack.errors import StateConflict
from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.config import Client, is_redirect_uri
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.state import Call, Registered, State
from keyrack.simulator.wire import STATE, Refusal, sim_of

AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
GRANTS = ("authorization_code", "refresh_token", "client_credentials")
_UNAUTHORIZED, _CREATED, _GONE = 401, 201, 204
_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


class _Metadata(msgspec.Struct, kw_only=True):
    """What is understood of a client's metadata (RFC 7591 section 2); other members are ignored."""

    redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"  # noqa: S105 - a method, not a secret
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    client_name: str = ""
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request about a registration: the client it names, and the document it brings."""

    client_id: str
    document: Mapping[str, Any]


async def register(request: web.Request) -> web.StreamResponse:
    """Answer `POST /register`."""
    state, document = request.app[STATE], await _document(request)

    def answer(behaviour: Behaviour) -> web.Response:
        if behaviour.initial_access_token and _bearer(request) != behaviour.initial_access_token:
            raise Refusal("invalid_token", "an initial access token is needed", _UNAUTHORIZED)
        metadata = _checked(document)
        client_id = f"registered-{secrets.token_hex(8)}"
        client = _client(client_id, metadata, secrets.token_urlsafe(24))
        try:
            state.add_client(client)
        except StateConflict as full:
            raise Refusal("temporarily_unavailable", str(full), 503) from None
        return _told(state, behaviour, client, metadata, _CREATED)

    return await _answered(request, "", answer)


async def manage(request: web.Request) -> web.StreamResponse:
    """Answer `GET`, `PUT` and `DELETE /register/{client_id}`."""
    state, client_id = request.app[STATE], request.match_info["client_id"]
    document = await _document(request) if request.method == "PUT" else {}

    def answer(behaviour: Behaviour) -> web.Response:
        held = state.registered.get(client_id)
        if held is None or client_id not in state.clients or _bearer(request) != held.access_token.reveal():
            raise Refusal("invalid_token", "the registration access token is not of this client", _UNAUTHORIZED)
        client = state.clients[client_id]
        if request.method == "DELETE":
            state.delete_client(client_id)
            del state.registered[client_id]
            return web.Response(status=_GONE, headers={"Cache-Control": "no-store"})
        if request.method == "GET":
            return _told(state, behaviour, client, held.metadata, 200, held)
        _require_same(client, document)
        metadata = _checked(document)
        renewed = _client(client_id, metadata, secrets.token_urlsafe(24))
        state.put_client(renewed)
        return _told(state, behaviour, renewed, metadata, 200)

    return await _answered(request, client_id, answer)


async def _answered(request: web.Request, client_id: str, answer: Any) -> web.StreamResponse:
    state = request.app[STATE]
    behaviour = state.behaviour("register", client_id if client_id in state.clients else "", sim_of(request))

    def process() -> Processed:
        try:
            return "ok", answer(behaviour)
        except Refusal as refusal:
            headers = {"Cache-Control": "no-store"}
            if refusal.status == _UNAUTHORIZED:
                headers[WWW_AUTHENTICATE] = 'Bearer error="invalid_token"'
            members = {"error": refusal.code, "error_description": refusal.description}
            return refusal.code, web.json_response(members, status=refusal.status, headers=headers)

    return await counted(request, behaviour, Call("register", "", ""), process)


async def _document(request: web.Request) -> Mapping[str, Any]:
    body = await request.read()
    if request.content_type != "application/json":
        return {}
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _checked(document: Mapping[str, Any]) -> _Metadata:
    try:
        metadata = msgspec.convert(document, _Metadata)
    except msgspec.ValidationError as wrong:
        raise Refusal("invalid_client_metadata", str(wrong)) from None
    if not set(metadata.grant_types) <= set(GRANTS):
        raise Refusal("invalid_client_metadata", "a grant type is not known here")
    if metadata.response_types != ("code",):
        raise Refusal("invalid_client_metadata", "response_types must be code")
    if not metadata.redirect_uris or not all(map(is_redirect_uri, metadata.redirect_uris)):
        raise Refusal("invalid_redirect_uri", "redirect_uris must have absolute URIs without a fragment")
    return metadata


def _require_same(client: Client, document: Mapping[str, Any]) -> None:
    """Insist on what RFC 7592 section 2.2 says of an update: the client's own id and secret, nothing of ours."""
    if document.get("client_id") != client.client_id:
        raise Refusal("invalid_client_metadata", "client_id must be that of the registration")
    if any(name in document for name in _OURS):
        raise Refusal("invalid_client_metadata", f"{', '.join(_OURS)} must not be sent")
    if "client_secret" in document and document["client_secret"] != client.client_secret.reveal():
        raise Refusal("invalid_client_metadata", "client_secret must be the current one, or left out")


def _client(client_id: str, metadata: _Metadata, secret: str) -> Client:
    public = metadata.token_endpoint_auth_method == "none"  # noqa: S105 - a method, not a secret
    return Client(
        client_id=client_id,
        client_secret=Secret("" if public else secret),
        name=metadata.client_name[:200],
        redirect_uris=metadata.redirect_uris,
        token_endpoint_auth_method=metadata.token_endpoint_auth_method,
        scopes=None if metadata.scope is None else tuple(metadata.scope.split()),
    )


def _told(
    state: State,
    behaviour: Behaviour,
    client: Client,
    metadata: Any,
    status: int,
    held: Registered | None = None,
) -> web.Response:
    """Build the client information response (RFC 7591 section 3.2.1); a new token for the registration each time."""
    lifetime, now = behaviour.registered_secret_lifetime, int(state.book.now())
    ends = held.secret_expires_at if held else now + lifetime if lifetime and client.client_secret else 0
    token = Secret(secrets.token_urlsafe(24))
    state.registered[client.client_id] = Registered(token, metadata, ends)
    members = {
        **msgspec.to_builtins(metadata),
        "client_id": client.client_id,
        "client_id_issued_at": now,
        "registration_access_token": token.reveal(),
        "registration_client_uri": f"{state.issuer}/register/{client.client_id}",
    }
    if client.client_secret:
        members |= {"client_secret": client.client_secret.reveal(), "client_secret_expires_at": ends}
    return web.json_response(members, status=status, headers={"Cache-Control": "no-store"})


def _bearer(request: web.Request) -> str:
    scheme, _, value = request.headers.get(AUTHORIZATION, "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
