"""Tells from the answer to a code that we made up whether the client itself was accepted (RFC 6749 section 5.2).

`invalid_grant` means that the client was accepted, if the provider looks at the client first; whoever asks tries a
wrong secret as well, to know that it does. Many providers answer otherwise: then nothing is told.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.diagnosis.findings import AT_PROVIDER, Finding, Level, Places
from keyrack.oauth.failure_classes import FailureClass, classify_failure

CHECK = "client_authentication"
"""Name of these findings."""


class CodeVerdict(StrEnum):
    """What an answer to a made-up code says."""

    code_refused = "code_refused"
    """The code is not good: nothing was said against the client."""
    client_refused = "client_refused"
    """The client is not known, or its authentication is wrong."""
    grant_refused = "grant_refused"
    """The client may not use the authorization code grant, or the endpoint does not know it."""
    redirect_refused = "redirect_refused"
    """The redirect URI is not the client's."""
    no_endpoint = "no_endpoint"
    """Nothing at this address takes token requests."""
    later = "later"
    """The provider cannot answer now."""
    granted = "granted"
    """Tokens came for a code that we made up."""
    unclear = "unclear"
    """It does not tell."""


_BAD_CODE = frozenset(
    {
        "invalid_grant",
        "bad_verification_code",  # GitHub
        "bad_auth_code",  # HubSpot
        "invalid_code",  # Slack, Zoho
        "code_not_found",
        "code_expired",
        "invalid_authorization_code",
        "authorization_code_invalid",
        "invalid_auth_code",
    }
)
_GRANT = frozenset({"unauthorized_client", "unsupported_grant_type", "unsupported_response_type"})
_REDIRECT = ("redirect_uri_mismatch", "invalid_redirect_uri")


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """An answer to a made-up code.

    Attributes:
        verdict: what it says.
        seen: the same for a person, in the provider's words; without anything secret.
    """

    verdict: CodeVerdict
    seen: str


GRANTED = CodeAnswer(
    CodeVerdict.granted, "The provider gave tokens for a code that was made up; they were thrown away."
)


def judge(error: ProviderError | ProviderUnavailable, token_endpoint: str, final: Collection[str] = ()) -> CodeAnswer:
    """Return what the refusal of a made-up code says.

    Args:
        error: what `process_token_response` raised, or the call itself.
        token_endpoint: where it was sent.
        final: codes that the provider's profile knows as the end of a grant.
    """
    failure = error.failure
    return CodeAnswer(_verdict(error, token_endpoint, final), _seen(failure, str(error)))


def _verdict(error: ProviderError | ProviderUnavailable, token_endpoint: str, final: Collection[str]) -> CodeVerdict:
    codes = {code.strip().lower() for code in (*error.failure.codes, error.failure.error or "") if code}
    if isinstance(error, ProviderUnavailable):
        return CodeVerdict.later
    if not codes.isdisjoint(_REDIRECT):
        return CodeVerdict.redirect_refused
    if not codes.isdisjoint(_GRANT):
        return CodeVerdict.grant_refused
    if not codes.isdisjoint(_BAD_CODE):
        return CodeVerdict.code_refused
    kind = classify_failure(error, urlsplit(token_endpoint).hostname or "", final)
    return {
        FailureClass.CLIENT_REJECTED: CodeVerdict.client_refused,
        FailureClass.NO_ENDPOINT: CodeVerdict.no_endpoint,
        FailureClass.TEMPORARY: CodeVerdict.later,
    }.get(kind, CodeVerdict.unclear)


def _seen(failure: ProviderFailure, told: str) -> str:
    if failure.error is None and failure.error_description is None:
        return told if failure.status is None else f"Status {failure.status}. {told}"
    words = ": ".join(filter(None, (failure.error, failure.error_description)))
    return f"Status {failure.status or 'unknown'}, {words}"


def finding_of(
    own: CodeAnswer,
    method: TokenEndpointAuthMethod,
    places: Places,
    *,
    control: CodeAnswer | None = None,
    works: TokenEndpointAuthMethod | None = None,
) -> Finding:
    """Return what is told of the client's authentication.

    Args:
        own: the answer to the client as it is.
        method: how it authenticates.
        places: where things are changed.
        control: the answer with a wrong secret; None: none was sent, as there is no secret or nothing to compare.
        works: another method with which the client was accepted.
    """
    if own.verdict is CodeVerdict.code_refused:
        return _accepted(own, method, control)
    if works is not None:
        change = f"Let the client authenticate with {works}: set client_auth to {_word_of(works)}."
        seen = f"With {method} the client is refused ({own.seen}); with {works} it is accepted."
        return Finding(CHECK, Level.error, seen, change, places["client_auth"])
    return _refused(own, method, places)


def _accepted(own: CodeAnswer, method: TokenEndpointAuthMethod, control: CodeAnswer | None) -> Finding:
    if method is TokenEndpointAuthMethod.NONE:
        seen = f"The provider refuses a made-up code, and not the client, which has no secret ({own.seen})."
        return Finding(CHECK, Level.ok, seen)
    if control is None or control.verdict is not CodeVerdict.client_refused:
        seen = f"Cannot tell: the provider refuses a made-up code ({own.seen}), and answers a wrong secret " + (
            "the same way." if control is not None and control.verdict is own.verdict else "in no way that tells."
        )
        return Finding(CHECK, Level.notice, seen)
    seen = f"The provider accepts the client with {method}: it refuses a made-up code ({own.seen}), and a wrong secret"
    return Finding(CHECK, Level.ok, f"{seen} otherwise ({control.seen}).")


def _refused(own: CodeAnswer, method: TokenEndpointAuthMethod, places: Places) -> Finding:
    if own.verdict is CodeVerdict.client_refused:
        secret = "client_id" if method is TokenEndpointAuthMethod.NONE else "client_secret"
        if method is TokenEndpointAuthMethod.PRIVATE_KEY_JWT:
            secret = "private_key"  # noqa: S105 - the name of a member
        change = f"Compare client_id and {secret} with what the provider shows, and how it wants the client to"
        seen = f"The provider refuses the client with {method}: {own.seen}"
        return Finding(CHECK, Level.error, seen, f"{change} authenticate.", places[secret])
    level, seen, change, place = _OTHERS[own.verdict]
    at = None if place is None else AT_PROVIDER if place == _PROVIDER else places[place]
    return Finding(CHECK, level, f"{seen} ({own.seen}).", change, at)


_PROVIDER = "provider"
_OTHERS: Mapping[CodeVerdict, tuple[Level, str, str, str | None]] = {
    CodeVerdict.no_endpoint: (
        Level.error,
        "Nothing at the address takes token requests",
        "Correct the token endpoint.",
        "token_endpoint",
    ),
    CodeVerdict.grant_refused: (
        Level.error,
        "The client may not use the authorization code grant there",
        "Allow the grant types authorization_code and refresh_token for the client at the provider.",
        _PROVIDER,
    ),
    CodeVerdict.redirect_refused: (
        Level.error,
        "The provider does not know the redirect URI",
        "Register the redirect URI at the provider, exactly.",
        _PROVIDER,
    ),
    CodeVerdict.granted: (
        Level.warning,
        "The provider gave tokens for a code that was made up",
        "Make sure that this is the provider's token endpoint.",
        "token_endpoint",
    ),
    CodeVerdict.later: (Level.warning, "Cannot tell, as the provider does not answer now", "Try again later.", None),
    CodeVerdict.unclear: (Level.notice, "Cannot tell: the provider's answer says nothing of the client", "", None),
}
"""What is told of answers that are not about the client: level, what was seen, what to change, and where."""


_WORDS = {
    TokenEndpointAuthMethod.CLIENT_SECRET_POST: "post",
    TokenEndpointAuthMethod.CLIENT_SECRET_BASIC: "basic",
    TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW: "basic_raw",
    TokenEndpointAuthMethod.NONE: "none",
}


def _word_of(method: TokenEndpointAuthMethod) -> str:
    return _WORDS[method]


def other_methods(method: TokenEndpointAuthMethod) -> tuple[TokenEndpointAuthMethod, ...]:
    """Return in which other ways the same secret can be sent to the same endpoint."""
    ways = (
        TokenEndpointAuthMethod.CLIENT_SECRET_POST,
        TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
        TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW,
    )
    return tuple(way for way in ways if way is not method) if method in ways else ()
