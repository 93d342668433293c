"""The authorization code grant (RFC 6749 section 4.1) with PKCE (RFC 7636) and `iss` (RFC 9207)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure
from keyrack.oauth import pkce
from keyrack.oauth.callback_error import callback_error
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.requests import as_asked, own_query, with_parameters, with_query
from keyrack.oauth.provider_text import has_controls
from keyrack.oauth.scopes import split_scope
from keyrack.oauth.wire import FormRequest

RESERVED = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        # A request object replaces every parameter beside it (RFC 9101 section 6.3), so it would override all of
        # the above; another response mode would deliver the code where the callback does not look.
        "request",
        "request_uri",
        "response_mode",
    },
)
"""Parameters that extras cannot set (contract section 19.2)."""

_MAX_CODE = 8192


def build_authorization_url(
    profile: ClientProfile,
    *,
    redirect_uri: str,
    state: str,
    scope: str = "",
    code_challenge: str | None = None,
    nonce: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Return the address that the user's browser is sent to (RFC 6749 section 4.1.1, contract section 20.2).

    The endpoint's own query stays as it is written, in front. A parameter is never sent twice (RFC 6749 section
    3.1): where the own query names one of ours, ours is sent; where it names an extra, the own query's is.

    Args:
        profile: the client and its provider.
        redirect_uri: the callback address, identical in the token request.
        state: from `new_state`.
        scope: sent verbatim; left out when empty.
        code_challenge: from `pkce.challenge`; None sends none.
        nonce: from `id_token.new_nonce` (OpenID Connect Core 3.1.2.1); None sends none, and extras may.
        extra: further parameters; names in `RESERVED` are ignored.

    Returns:
        An absolute URL, percent-encoded (spaces as `%20`).
    """
    ours = {
        "response_type": "code",
        "client_id": profile.client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
    }
    if not scope:
        del ours["scope"]
    if code_challenge is not None:
        ours |= {"code_challenge": code_challenge, "code_challenge_method": pkce.METHOD}
    if nonce is not None:
        ours["nonce"] = nonce
    if profile.provider is not None:
        return _as_profile_says(profile, profile.provider, ours, extra or {})
    base, query = own_query(profile.authorization_endpoint)
    own = [part for name, part in query if name not in ours]
    taken = {name for name, _ in query}
    extras = {
        name: value
        for name, value in (extra or {}).items()
        if name.strip().lower() not in RESERVED | ours.keys() and name not in taken
    }
    sent = urlencode(ours | extras, quote_via=quote, safe="", errors="replace")
    return f"{base}?{'&'.join([*own, sent])}"


def build_token_request(
    profile: ClientProfile,
    *,
    code: Secret,
    redirect_uri: str,
    verifier: Secret | None = None,
) -> FormRequest:
    """Return the request that exchanges a code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    Args:
        profile: the client and its provider.
        code: from `process_callback`.
        redirect_uri: the same as in the authorization request.
        verifier: the PKCE verifier, if a challenge was sent.
    """
    form: tuple[tuple[str, str], ...] = (
        ("grant_type", "authorization_code"),
        ("code", code.reveal()),
        ("redirect_uri", redirect_uri),
    )
    if verifier is not None:
        form = (*form, ("code_verifier", verifier.reveal()))
    form, authorization = profile.authenticated(form, profile.code_auth_method, profile.token_endpoint)
    request = FormRequest(profile.token_endpoint, form, authorization)
    return request if profile.provider is None else as_asked(request, profile.provider.token, profile.placeholders)


def process_callback(
    params: Mapping[str, str],
    expected_issuer: str | None = None,
    *,
    iss_required: bool = False,
    code_parameter: str = "code",
) -> Secret:
    """Return the authorization code that a callback carries (RFC 6749 section 4.1.2).

    Args:
        params: the callback's query parameters; `state` has been checked before.
        expected_issuer: the server's issuer identifier, when known. `iss` must be that one to the letter, in errors too
            (RFC 9207 section 2.4).
        iss_required: the server is known to send `iss`, so that a code without it is not from there.
        code_parameter: name of the parameter that carries the code.

    Raises:
        ProviderError: the server reports an error (what it said is in `failure`, see `callback_error`), is not the one
            expected, or sent no usable code.
    """
    issuer = params.get("iss")
    if expected_issuer is not None and issuer is not None and issuer != expected_issuer:
        raise ProviderError("The answer came from another authorization server than the one asked.")
    code = params.get(code_parameter, "")
    said = callback_error(params)
    if params.get("error") or (said and not code):
        raise ProviderError("The authorization server did not grant access.", ProviderFailure(**said))
    if expected_issuer is not None and issuer is None and iss_required:
        raise ProviderError(
            "The answer does not name the authorization server that it came from, although that server always does."
        )
    if not code or len(code) > _MAX_CODE or has_controls(code):
        raise ProviderError("The authorization server sent no usable code.")
    return Secret(code)


def _as_profile_says(
    profile: ClientProfile, provider: ProviderProfile, usual: Mapping[str, str], extra: Mapping[str, str]
) -> str:
    """Return the address as the provider's profile has it; extras add to it and change nothing."""
    said, scopes = provider.authorization, provider.scopes
    usual = dict(usual)
    if "scope" in usual or scopes.default:
        usual["scope"] = scopes.separator.join(split_scope(usual.get("scope", "")) or scopes.default)
    if scopes.user_parameter is not None and scopes.user_default:
        usual[scopes.user_parameter] = scopes.separator.join(scopes.user_default)
    values = {**profile.values, "client_id": profile.client_id}  # a secret never goes into an address
    sent = with_parameters(usual, said.parameters, said.rename, values)
    fixed = RESERVED | sent.keys() | usual.keys()
    taken = sent.keys() | {name for name, _ in own_query(profile.authorization_endpoint)[1]}
    more = {name: value for name, value in extra.items() if name.strip().lower() not in fixed and name not in taken}
    return with_query(profile.authorization_endpoint, sent | more, said)
