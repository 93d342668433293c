"""The authorization code grant (RFC 6749 section 4.1) with PKCE (RFC 7636) and `iss` (RFC 9207)."""

from collections.abc import Collection, Mapping

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure
from keyrack.oauth.callback_error import callback_error
from keyrack.oauth.dpop import thumbprint
from keyrack.oauth.id_token import asks_for_id_token
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.request_parts import AuthorizationRequest
from keyrack.oauth.profiles.requests import own_query, with_parameters, with_query, with_scopes
from keyrack.oauth.provider_text import has_controls
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
        "dpop_jkt",
        # A request object replaces every parameter beside it (RFC 9101 section 6.3), so it would override all of
        # the above; another response mode would deliver the code where the callback does not look.
        "request",
        "request_uri",
        "response_mode",
    },
)
"""Parameters that extras cannot set (contract section 19.2)."""

_MAX_CODE = 8192


def authorization_parameters(
    profile: ClientProfile,
    *,
    redirect_uri: str,
    state: str,
    scope: str = "",
    code_challenge: str | None = None,
    nonce: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the parameters of an authorization request (RFC 6749 section 4.1.1, contract section 20.2).

    Where the endpoint's own query names an extra, the extra is left out.

    Args:
        profile: the client and its provider.
        redirect_uri: the callback address, identical in the token request.
        state: from `new_state`.
        scope: sent verbatim; left out when empty.
        code_challenge: from `pkce.challenge`; None sends none.
        nonce: from `id_token.new_nonce` (OpenID Connect Core 3.1.2.1); None sends none, and extras may.
        extra: further parameters; names in `RESERVED` are ignored.
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
        ours |= {"code_challenge": code_challenge, "code_challenge_method": profile.code_challenge_method}
    if nonce is not None:
        ours["nonce"] = nonce
    if profile.resource is not None:
        ours["resource"] = profile.resource
    if profile.proof_key is not None:
        ours["dpop_jkt"] = thumbprint(profile.proof_key)  # the code is good with this key only (RFC 9449 section 10)
    taken = {name for name, _ in own_query(profile.authorization_endpoint)[1]}
    if profile.provider is None:
        return ours | further(extra or {}, taken | ours.keys())
    said = profile.provider.authorization
    usual = with_scopes(ours, profile.provider.scopes)
    values = {**profile.values, "client_id": profile.client_id}  # a secret never goes into an address
    sent = with_parameters(usual, said.parameters, said.rename, values)
    return sent | further(extra or {}, taken | sent.keys() | usual.keys())


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
    """Return the address that the user's browser is sent to, with all parameters; arguments as of these."""
    parameters = authorization_parameters(
        profile,
        redirect_uri=redirect_uri,
        state=state,
        scope=scope,
        code_challenge=code_challenge,
        nonce=nonce,
        extra=extra,
    )
    return authorization_url(profile, parameters)


def sends_nonce(profile: ClientProfile, scope: str) -> bool:
    """Tell whether a nonce goes with an authorization request: for an ID token, or since the profile says so.

    Args:
        profile: the client and its provider.
        scope: what is asked for, as of `authorization_parameters`.
    """
    always = profile.provider is not None and profile.provider.authorization.sends_nonce
    return always or asks_for_id_token(profile.authorization_endpoint, scope)


def authorization_url(profile: ClientProfile, parameters: Mapping[str, str]) -> str:
    """Return the address that the user's browser is sent to (RFC 6749 section 4.1.1, contract section 20.2).

    The endpoint's own query stays as it is written, in front. A parameter is never sent twice (RFC 6749 section
    3.1): where the own query names one of ours, ours is sent.

    Args:
        profile: the client and its provider.
        parameters: from `authorization_parameters`, or what stands for them (RFC 9126 section 4).

    Returns:
        An absolute URL, percent-encoded (spaces as `%20`) unless the provider's profile has it otherwise.
    """
    said = AuthorizationRequest() if profile.provider is None else profile.provider.authorization
    return with_query(profile.authorization_endpoint, parameters, said)


def further(extra: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """Return the parameters that users or components may add to a request: no reserved ones, and none that is there."""
    return {
        name: value
        for name, value in extra.items()
        if name.strip().lower() not in RESERVED and name.strip().lower() not in taken and name not in taken
    }


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
    if profile.resource is not None:
        form = (*form, ("resource", profile.resource))
    said = None if profile.provider is None else profile.provider.token
    return profile.token_request(profile.token_endpoint, form, profile.of_codes, said)


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
        iss_required: the server is known to send `iss`, so that what comes without it is not from there: neither a code
            nor an error is believed.
        code_parameter: name of the parameter that carries the code.

    Raises:
        ProviderError: the server reports an error (what it said is in `failure`, see `callback_error`), is not the one
            expected, or sent no usable code.
    """
    issuer = params.get("iss")
    if expected_issuer is not None and issuer is not None and issuer != expected_issuer:
        raise ProviderError("The answer came from another authorization server than the one asked.")
    if expected_issuer is not None and issuer is None and iss_required:
        raise ProviderError(
            "The answer does not name the authorization server that it came from, although that server always does."
        )
    code = params.get(code_parameter, "")
    said = callback_error(params)
    if params.get("error") or (said and not code):
        raise ProviderError("The authorization server did not grant access.", ProviderFailure(**said))
    if not code or len(code) > _MAX_CODE or has_controls(code):
        raise ProviderError("The authorization server sent no usable code.")
    return Secret(code)
