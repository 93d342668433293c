"""Processes the answer of a token endpoint (RFC 6749 sections 5.1 and 5.2, contract section 20.3)."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderFailure, ProviderUnavailable
from keyrack.oauth.body import AnswerMembers, NotUnderstood, parse_answer
from keyrack.oauth.dpop import is_bound
from keyrack.oauth.profiles.answers import as_usual, says_failure
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.provider_text import has_controls
from keyrack.oauth.refusal import refusal
from keyrack.oauth.retry_after import retry_after
from keyrack.oauth.scopes import granted_scope
from keyrack.oauth.wire import ANSWER_FAULTS, RawResponse

KNOWN_MEMBERS = frozenset({"access_token", "refresh_token", "expires_in", "scope", "token_type"})
"""Members with a meaning of their own; all others are `undefined_params` (contract section 15.1)."""

OF_ONE_ANSWER = frozenset(
    {
        "id_token",  # OpenID Connect Core 3.1.3.7: about this authentication, with an expiry of its own
        "expires",
        "expires_at",
        "expires_on",  # Microsoft, version 1
        "ext_expires_in",
        "not_before",
        "not_before_policy",
        "not-before-policy",  # Keycloak
        "issued_at",  # Salesforce
        "signature",  # Salesforce: of `issued_at`
        "created_at",  # Doorkeeper
        "refresh_expires_in",  # Keycloak
        "refresh_token_expires_in",
        "x_refresh_token_expires_in",  # Intuit
    }
)
"""Members that are true of the tokens they came with only: times, counts of seconds from then, proofs of them."""

OF_ONE_REFRESH_TOKEN = frozenset({"refresh_token_expires_at", "refresh_token_expires_on", "refresh_token_issued_at"})
"""Members that stay true as long as the refresh token they came with is kept."""

NOT_BEARER = frozenset({"mac", "dpop", "pop"})
"""Types of tokens, in lower case, that need more than the token to be used (RFC 6749 section 7.1, RFC 9449).

Every other word is taken as Bearer: servers write `bot`, `user` or nothing where they mean that.
"""

_NO_KEY = (
    ", which can only be used with a key that Keyrack does not have. Set the client to Bearer tokens at the provider,"
    " or use one whose profile names dpop"
)
_NOT_BOUND = (
    ", which is not bound to the connection's key, although the client's profile asks for DPoP. Turn DPoP on for the"
    " client at the provider"
)

MAX_LIFETIME = 10 * 365 * 24 * 3600
"""Seconds; a longer lifetime is taken as this one, so that a time of expiry can always be computed."""

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?")
TEMPORARY = frozenset({408, 425, 429})
"""Statuses below 500 that ask for another try later (RFC 9110 section 15.5.9, RFC 8470, RFC 6585 section 4)."""


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """Tokens as the provider sent them.

    Attributes:
        access_token: never empty.
        refresh_token: None when there is none in the response.
        expires_in: lifetime in seconds, at least 1; None when absent or senseless.
        scope: what was granted, see `granted_scope`; None when the provider does not say.
        token_type: verbatim, such as `Bearer`.
        members: the complete response, tokens in clear included; where the token is nested, its object's members
            stand in place of that object.
        bound: whether the request proved that its sender holds a key, so that the token must be bound to it (RFC 9449).
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_in: int | None
    scope: str | None
    token_type: str | None
    members: Mapping[str, Any] = field(repr=False)
    bound: bool = False

    @property
    def undefined_params(self) -> dict[str, Any]:
        """The provider's own members, such as `instance_url` (contract sections 15.1 and 20.4)."""
        return {name: value for name, value in self.members.items() if name not in KNOWN_MEMBERS}

    @property
    def unusable(self) -> str | None:
        """Why the token must not be used, as the beginning of a sentence; None if nothing is wrong.

        Its type is one that we do not understand (RFC 6749 section 7.1), or it is not bound to the key as it should
        be: whoever gets hold of it could use it (RFC 9449 section 5).
        """
        kind = (self.token_type or "").strip()
        if self.bound:
            return None if is_bound(kind) else f"sent a token of the type {kind or 'Bearer'}{_NOT_BOUND}"
        return f"sent a token of the type {kind}{_NO_KEY}" if kind.lower() in NOT_BEARER else None


def still_true(members: Mapping[str, Any], *, refresh_token_kept: bool) -> dict[str, Any]:
    """Return the members of an earlier answer that stand beside the tokens of a later one that does not repeat them.

    Args:
        members: the provider's own, such as `instance_url`, which stays, and `id_token`, which does not.
        refresh_token_kept: the later answer brought no refresh token.
    """
    over = OF_ONE_ANSWER if refresh_token_kept else OF_ONE_ANSWER | OF_ONE_REFRESH_TOKEN
    return {name: value for name, value in members.items() if name not in over}


def process_token_response(
    response: RawResponse,
    *,
    token_path: str | None = None,
    provider: ProviderProfile | None = None,
    sent: Iterable[Secret] = (),
) -> TokenResponse:
    """Interpret an answer of a token endpoint: success is 2xx, no `error`, and a non-empty `access_token`.

    Args:
        response: what came back.
        token_path: see `ClientProfile.token_path`.
        provider: where the provider's answers have what others have elsewhere.
        sent: secrets of the request; masked should the provider echo one in its error text.

    What broke off holds tokens only if a refresh token is among them: else it may have come behind, and the one that
    was sent may be used up.

    Raises:
        ProviderUnavailable: 408, 425, 429 or 5xx; `failure` has `status` and, if asked for, `retry_after`.
            Or no tokens can be read of an answer that has a fault; see `require_sound`.
        ProviderError: everything else that is not a success, as `keyrack.oauth.refusal.refusal` tells it.
    """
    require_available(response)
    answered = members_of(response)
    members = answered.values
    failed = not may_be_success(response)
    if provider is not None:
        failed = failed or says_failure(members, provider.answer)
        members = as_usual(members, provider.answer)
    if failed or members.get("error"):
        raise refusal(response, members, "The authorization server refused the token request", sent)
    members = _flatten(members, token_path)
    access_token = _token(members, "access_token")
    if access_token is None or (answered.cut and _token(members, "refresh_token") is None):
        require_sound(response)
        raise refusal(response, members, "The authorization server answered without an access token", sent)
    return TokenResponse(
        access_token=access_token,
        refresh_token=_token(members, "refresh_token"),
        expires_in=parse_lifetime(members.get("expires_in")),
        scope=granted_scope(members, " " if provider is None else provider.scopes.separator),
        token_type=_string(members, "token_type"),
        members=members,
        bound=provider is not None and provider.dpop is not None,
    )


def members_of(response: RawResponse) -> AnswerMembers:
    """Return the members of an answer, none if they cannot be understood."""
    try:
        return parse_answer(response)
    except NotUnderstood:
        return AnswerMembers({})


def may_be_success(response: RawResponse) -> bool:
    """Tell whether an answer is a success (2xx), or does not say what it is."""
    return 200 <= response.status < 300 or not response.status  # noqa: PLR2004 - HTTP's success


def require_sound(response: RawResponse) -> None:
    """Refuse an answer that nothing can be read of because it is not complete or not valid.

    Raises:
        ProviderUnavailable: so it is. `failure` has the fault as `reason`, `sent` and `received` as true, and
            `status` if there is one.
    """
    if response.fault is not None:
        failure = ProviderFailure(reason=response.fault.value, sent=True, received=True, status=response.status or None)
        raise ProviderUnavailable(ANSWER_FAULTS[response.fault], failure)


def require_available(response: RawResponse) -> None:
    """Refuse an answer that says that the server cannot answer now.

    Raises:
        ProviderUnavailable: 408, 425, 429 or 5xx; `failure` has `status` and, if asked for, `retry_after` in seconds.
    """
    if response.status not in TEMPORARY and response.status < 500:  # noqa: PLR2004 - HTTP's server errors
        return
    failure = ProviderFailure(status=response.status, retry_after=retry_after(response.headers))
    raise ProviderUnavailable("The authorization server cannot answer now.", failure)


def parse_lifetime(value: object) -> int | None:
    """Return a lifetime in whole seconds, 1 to `MAX_LIFETIME`, from a number or a text of digits.

    Anything else is None, zero and less included: some servers say 0 for tokens that do not expire.
    """
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value := value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or (value != value):  # noqa: PLR0124 - NaN
        return None
    seconds = MAX_LIFETIME if value >= MAX_LIFETIME else math.floor(max(value, 0))
    return seconds or None


def _flatten(members: dict[str, Any], token_path: str | None) -> dict[str, Any]:
    """Put the members of the object at `token_path` in its place; without that object nothing changes."""
    if not token_path:
        return members
    inner: Any = members
    steps = token_path.split(".")
    for step in steps:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        return members
    return {name: value for name, value in members.items() if name != steps[0]} | inner


def _string(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _token(members: Mapping[str, Any], name: str) -> Secret | None:
    """Return a token, or None for what cannot be one: empty, not text, or with control characters in it."""
    value = _string(members, name)
    return Secret(value) if value and value.strip() and not has_controls(value) else None
