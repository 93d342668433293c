"""OAuth 1.0a (RFC 5849), signed with HMAC-SHA1 unless the provider wants it otherwise; contract section 21.

Three steps: temporary credentials, the user's authorization, token credentials. Of the RFC's names, the client
credentials are a `ClientProfile`'s id and secret (elsewhere "consumer key and secret"), the temporary credentials a
"request token", the token credentials an "access token".
"""

import hashlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote_plus, urlencode

from oauthlib.oauth1 import Client

from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ProviderError, ProviderFailure, ValidationFailed
from keyrack.oauth.callback_error import callback_error
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.provider_text import ShownError, error_meta, has_controls
from keyrack.oauth.token_response import TokenResponse, may_be_success, members_of, require_available, require_sound
from keyrack.oauth.uri import wire_uri
from keyrack.oauth.wire import FormRequest, RawResponse

logging.getLogger("oauthlib").setLevel(logging.WARNING)  # below that it logs what is signed, and with what

RESERVED_PREFIX = "oauth_"
"""Protocol parameters begin so (RFC 5849 section 3.1); extras cannot set them."""

_MAX_VALUE = 8192
_READ_IN_QUERIES = "=&;:%+~,*@!()/?'$"
TOKEN = "oauth_token"  # noqa: S105 - the name of a parameter
_TOKEN, _SECRET, _VERIFIER, _DENIED = TOKEN, "oauth_token_secret", "oauth_verifier", "denied"
_REFUSED = "The authorization server did not grant access."


@dataclass(frozen=True, slots=True)
class OAuth1Credentials:
    """A token and its shared secret: temporary credentials (RFC 5849 section 1.1)."""

    token: Secret
    secret: Secret


def build_temporary_request(
    profile: ClientProfile, *, callback: str, at: datetime, nonce: str | None = None
) -> FormRequest:
    """Return the request for temporary credentials (RFC 5849 section 2.1).

    Args:
        profile: client and provider; its `temporary_credentials_endpoint` is asked.
        callback: where the user's browser is to be sent back to.
        at: the time, for the timestamp.
        nonce: a text used once; None makes a random one.

    Raises:
        ValidationFailed: a value cannot be sent.
    """
    return _signed(profile, profile.temporary_credentials_endpoint or "", at, nonce, callback_uri=callback)


def process_temporary_response(response: RawResponse, sent: Iterable[Secret] = ()) -> OAuth1Credentials:
    """Interpret the answer to a request for temporary credentials (RFC 5849 section 2.1).

    A server that does not say `oauth_callback_confirmed` is borne with, since no authorization is taken without a
    verifier; one that says anything but `true` has not taken our callback.

    Raises:
        ProviderUnavailable: 429 or 5xx.
        ProviderError: anything else without temporary credentials in it.
    """
    members = _members(response, sent, "temporary credentials")
    if str(members.get("oauth_callback_confirmed", "true")).lower() != "true":
        raise ProviderError("The authorization server did not accept the callback address.")
    return OAuth1Credentials(Secret(members[_TOKEN]), Secret(members[_SECRET]))


def build_authorization_url(endpoint: str, token: Secret, extra: Mapping[str, str] | None = None) -> str:
    """Return the address that the user's browser is sent to (RFC 5849 section 2.2).

    Args:
        endpoint: its own query stays as it is written, in front.
        token: of the temporary credentials.
        extra: further parameters; protocol parameters among them and those of the endpoint's own query are left out.
    """
    base, _, query = endpoint.partition("#")[0].partition("?")
    own = [part for part in query.split("&") if _name(part) != _TOKEN] if query else []
    taken = {_name(part) for part in own}
    extras = {
        name: value
        for name, value in (extra or {}).items()
        if not name.strip().lower().startswith(RESERVED_PREFIX) and name not in taken
    }
    sent = urlencode({_TOKEN: token.reveal()} | extras, quote_via=quote, safe="", errors="replace")
    return f"{base}?{'&'.join([*own, sent])}"


def callback_token(params: Mapping[str, str]) -> str:
    """Return the token that a callback is about, also where it only says that the user denied; empty if there is none.

    Some servers send `denied` with the token in the place of `oauth_token`.
    """
    return params.get(_TOKEN) or params.get(_DENIED) or ""


def token_hash(token: str) -> str:
    """Return a hash of a temporary token as 64 lowercase hex characters, under which its consent is found.

    It never equals the hash of a `state`, whatever text a browser is made to send.
    """
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=32, person=b"keyrack oauth1").hexdigest()


def process_callback(params: Mapping[str, str]) -> Secret:
    """Return the verifier that a callback carries (RFC 5849 section 2.2).

    Args:
        params: the callback's query parameters; the token has been looked up before.

    Raises:
        ProviderError: the user or the server refused (`denied`, `oauth_problem`, `error`), or there is no usable
            verifier, without which it is not known who authorized.
    """
    said, verifier = callback_error(params), params.get(_VERIFIER, "")
    if _DENIED in params or _said(params) or (said and not verifier):
        raise ProviderError(_REFUSED, ProviderFailure(**said))
    if not _usable(verifier):
        raise ProviderError("The authorization server sent no usable verifier.")
    return Secret(verifier)


def build_token_request(
    profile: ClientProfile, temporary: OAuth1Credentials, verifier: Secret, *, at: datetime, nonce: str | None = None
) -> FormRequest:
    """Return the request that exchanges temporary for token credentials (RFC 5849 section 2.3).

    Args:
        profile: client and provider; its `token_endpoint` is asked.
        temporary: the temporary credentials that the user authorized.
        verifier: from `process_callback`.
        at: the time, for the timestamp.
        nonce: a text used once; None makes a random one.

    Raises:
        ValidationFailed: a value cannot be sent.
    """
    return _signed(
        profile,
        profile.token_endpoint,
        at,
        nonce,
        resource_owner_key=temporary.token.reveal(),
        resource_owner_secret=temporary.secret.reveal(),
        verifier=verifier.reveal(),
    )


def process_token_response(response: RawResponse, sent: Iterable[Secret] = ()) -> TokenResponse:
    """Interpret the answer of the token endpoint (RFC 5849 section 2.3).

    Returns:
        `oauth_token` as the access token; `members` has all that was sent, `oauth_token_secret` included. There is
        neither a refresh token nor a lifetime.

    Raises:
        ProviderUnavailable: 429 or 5xx.
        ProviderError: anything else without token credentials in it.
    """
    members = _members(response, sent, "token credentials")
    return TokenResponse(Secret(members[_TOKEN]), None, None, None, None, members)


def _signed(profile: ClientProfile, endpoint: str, at: datetime, nonce: str | None, **protocol: str) -> FormRequest:
    """Sign a POST without a body, its parameters in the `Authorization` header (RFC 5849 sections 3.1 to 3.5.1)."""
    url = wire_uri(endpoint)
    client = Client(
        profile.client_id,
        client_secret=profile.client_secret.reveal(),
        signature_method=profile.signature_method.value,
        timestamp=str(int(at.timestamp())),
        nonce=nonce or secrets.token_hex(12),
        **protocol,
    )
    try:
        # The base string has the query's values decoded (section 3.4.1.3), and oauthlib reads no other characters.
        base, mark, query = url.partition("?")
        _, headers, _ = client.sign(f"{base}{mark}{quote(query, safe=_READ_IN_QUERIES)}", http_method="POST")
    except ValueError:
        problem = "A value for the provider is not valid Unicode text."
    else:
        # What providers answer with is form-encoded, whatever they call it.
        return FormRequest(url, (), Secret(headers["Authorization"]), accept="*/*")
    raise ValidationFailed(Problem(problem))


def _members(response: RawResponse, sent: Iterable[Secret], wanted: str) -> dict[str, str]:
    """Return the members of a good answer, of which `oauth_token` is not empty and `oauth_token_secret` is there."""
    require_available(response)
    members = members_of(response).values
    said = _said(members, sent)
    if not may_be_success(response) or said:
        failure = ProviderFailure(status=response.status or None, **said)
        raise ProviderError(f"The authorization server refused to give {wanted}.", failure)
    secret = members.get(_SECRET)
    if not _usable(members.get(_TOKEN)) or not isinstance(secret, str) or has_controls(secret):
        require_sound(response)
        failure = ProviderFailure(status=response.status)
        raise ProviderError(f"The authorization server answered without {wanted}.", failure)
    return members


def _said(members: Mapping[str, object], sent: Iterable[Secret] = ()) -> ShownError:
    """Return what a server says is wrong: `error`, or `oauth_problem` of the problem reporting extension."""
    aliases = {"error": "oauth_problem", "error_description": "oauth_problem_advice"}
    named = {name: members.get(name) or members.get(alias) for name, alias in aliases.items()}
    return error_meta({**members, **named}, sent)


def _usable(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _MAX_VALUE and not has_controls(value)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
