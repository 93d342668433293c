"""The token endpoint (RFC 6749 section 3.2)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

from aiohttp import web

from keyrack.simulator import direct_grants
from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.client_auth import Claim, authenticate, read_claim
from keyrack.simulator.config import Client
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.device import GRANT_TYPE as DEVICE_CODE
from keyrack.simulator.device import device_tokens
from keyrack.simulator.dpop import proven, with_nonce
from keyrack.simulator.issue import granted_scope, token_response
from keyrack.simulator.reply import refusal_reply
from keyrack.simulator.state import Call, State
from keyrack.simulator.tokens import Grant
from keyrack.simulator.wire import STATE, Refusal, read_form, sim_of

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


async def token(request: web.Request) -> web.StreamResponse:
    """Answer `POST /token`."""
    state = request.app[STATE]
    sim = sim_of(request)
    try:
        form = await read_form(request)
    except Refusal as refusal:
        state.count(Call("token", "", "", refusal.code))
        return refusal_reply(Behaviour(), refusal)
    claim = read_claim(request, form)
    known = claim.client_id if claim.client_id in state.clients else ""
    grant = _grant_of(state, form)
    behaviour = state.behaviour("token", known, sim, grant)
    grant_type = form.get("grant_type", "")
    call = Call("token", known, grant_type if grant_type in _GRANT_TYPES else "")

    def process() -> Processed:
        try:
            return "ok", with_nonce(request, _answer(request, behaviour, claim, form), behaviour)
        except Refusal as refusal:
            reply = refusal_reply(behaviour, refusal, claim.challenge)
            return refusal.code, with_nonce(request, reply, behaviour)

    refreshed = grant if grant_type == "refresh_token" else None
    if refreshed is not None:
        refreshed.in_flight += 1
        refreshed.parallel_peak = max(refreshed.parallel_peak, refreshed.in_flight)
    try:
        return await counted(request, behaviour, call, process)
    finally:
        if refreshed is not None:
            refreshed.in_flight -= 1


def _grant_of(state: State, form: Mapping[str, str]) -> Grant | None:
    if "refresh_token" in form:
        found = state.book.refresh(form["refresh_token"])
        return found.grant if found else None
    code = state.book.code(form.get("code", ""))
    return code.grant if code else None


def _answer(request: web.Request, behaviour: Behaviour, claim: Claim, form: Mapping[str, str]) -> web.Response:
    state = request.app[STATE]
    if behaviour.fail:
        raise Refusal(behaviour.fail, "the simulator was told to fail", _status_of(behaviour.fail))
    grant_type = form.get("grant_type", "")
    is_alone = grant_type == direct_grants.JWT_BEARER and not (claim.client_id or claim.problem)
    client = direct_grants.client_of_assertion(state, form) if is_alone else authenticate(state, claim)
    _check_resource(state, form)
    handler = _GRANT_TYPES.get(grant_type)
    if handler is None:
        given = "grant_type" in form
        raise Refusal("unsupported_grant_type" if given else "invalid_request", "grant_type is not one known here")
    if client.grant_types is not None and grant_type not in client.grant_types:
        raise Refusal("unauthorized_client", "the client may not use this grant_type")
    jkt = proven(request, behaviour, f"{state.issuer}/token")
    return handler(state, behaviour, client, form, jkt)


def _check_resource(state: State, form: Mapping[str, str]) -> None:
    """Refuse a resource other than the one that was authorized (RFC 8707 section 2.2)."""
    grant = _grant_of(state, form)
    authorized = None if grant is None else grant.parameters.get("resource")
    if authorized is not None and form.get("resource", authorized) != authorized:
        raise Refusal("invalid_target", "the resource is not the one that was authorized")


def _status_of(code: str) -> int:
    return {"invalid_client": 401, "server_error": 500, "temporarily_unavailable": 503}.get(code, 400)


def _authorization_code(
    state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str
) -> web.Response:
    """RFC 6749 section 4.1.3; PKCE by RFC 7636 section 4.6; a replayed code ends its family (section 4.1.2)."""
    code = state.book.code(form.get("code", ""))
    if code is None or code.grant.client_id != client.client_id:
        raise Refusal("invalid_grant", "the code is not known")
    if code.used:
        code.grant.revoked = code.grant.revoked or "the code was replayed"
        raise Refusal("invalid_grant", "the code was used before; what was issued for it is revoked")
    if code.expires_at <= state.book.now() or code.grant.revoked:
        raise Refusal("invalid_grant", "the code has expired")
    if form.get("redirect_uri", "" if code.redirect_uri_sent else code.redirect_uri) != code.redirect_uri:
        raise Refusal("invalid_grant", "redirect_uri is not that of the authorization request")
    _check_verifier(code.challenge, form.get("code_verifier", ""))
    if behaviour.dpop != "ignored" and code.grant.parameters.get("dpop_jkt", jkt) != jkt:
        raise Refusal("invalid_grant", "the code is bound to another key (RFC 9449 section 10)")
    code.used = True
    return token_response(state, behaviour, code.grant, code.grant.scope, jkt)


def _check_verifier(challenge: str, verifier: str) -> None:
    if not challenge:
        if verifier:
            raise Refusal("invalid_grant", "code_verifier without a code_challenge in the authorization request")
        return
    digest = hashlib.sha256(verifier.encode()).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(computed, challenge.encode()):
        raise Refusal("invalid_grant", "code_verifier is missing or does not match")


def _refresh_token(
    state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str
) -> web.Response:
    """RFC 6749 section 6; reuse detection by RFC 9700 section 4.14.2."""
    found = state.book.refresh(form.get("refresh_token", ""))
    if found is None or found.grant.client_id != client.client_id:
        raise Refusal("invalid_grant", "the refresh token is not known")
    if not state.book.usable(found, behaviour):
        if found.rotated_at is not None and behaviour.rotation == "strict":
            found.grant.revoked = found.grant.revoked or "a rotated refresh token was used again"
        raise Refusal("invalid_grant", f"the refresh token is {found.state(state.book.now())}")
    scope = form.get("scope", found.scope)
    if not set(scope.split()) <= set(found.scope.split()):
        raise Refusal("invalid_scope", "more scope than was granted")
    if found.jkt not in {"", jkt}:
        raise Refusal("invalid_grant", "the refresh token is bound to another key (RFC 9449 section 5)")
    found.grant.refreshes += 1
    return token_response(state, behaviour, found.grant, scope, jkt, found)


def _client_credentials(
    state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str
) -> web.Response:
    """RFC 6749 section 4.4."""
    if client.is_public:
        raise Refusal("unauthorized_client", "a public client cannot use client_credentials")
    grant = state.book.open_grant(client.client_id, "", granted_scope(client, form.get("scope", "")))
    return token_response(state, behaviour, grant, grant.scope, jkt)


_Handler = Callable[[State, Behaviour, Client, Mapping[str, str], str], web.Response]
_GRANT_TYPES: Mapping[str, _Handler] = {
    "authorization_code": _authorization_code,
    "refresh_token": _refresh_token,
    "client_credentials": _client_credentials,
    DEVICE_CODE: device_tokens,
    direct_grants.PASSWORD: direct_grants.password,
    direct_grants.JWT_BEARER: direct_grants.jwt_bearer,
    direct_grants.TOKEN_EXCHANGE: direct_grants.token_exchange,
}
