"""Errors that the client raises, made from Keyrack's error documents (contract section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class KeyrackClientError(Exception):
    """Every error of this client."""


class Misconfigured(KeyrackClientError):
    """The client was not told what it needs."""


class Unreachable(KeyrackClientError):
    """Keyrack, at the host that is named, gave no answer in time; a safe request was tried several times."""


class Unexpected(KeyrackClientError):
    """The answer is none of Keyrack: a proxy's page, a redirect, or JSON of another shape."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error document.

    Attributes:
        code: as in docs/errors.md.
        detail: what is wrong, for a person.
        pointer: JSON pointer into the request's body, when a member is at fault.
        parameter: name of the query parameter, when one is at fault.
        meta: more about it, such as what a provider said.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


class Refused(KeyrackClientError):
    """Keyrack answered with an error document.

    Attributes:
        status: the HTTP status.
        problems: its entries, at least one.
        retry_after: seconds to wait, when it says so.
        request_id: the `x-request-id` that finds the request in Keyrack's log.
    """

    def __init__(
        self, status: int, problems: Sequence[Problem], retry_after: float | None = None, request_id: str | None = None
    ) -> None:
        self.status = status
        self.problems = tuple(problems)
        self.retry_after = retry_after
        self.request_id = request_id
        first = self.problems[0]
        super().__init__(f"{status} {first.code}: {first.detail}")

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code

    @property
    def pointer(self) -> str | None:
        """The pointer of the first problem."""
        return self.problems[0].pointer

    @property
    def meta(self) -> Mapping[str, Any]:
        """The `meta` of the first problem."""
        return self.problems[0].meta


class Invalid(Refused):
    """400: the request is wrong."""


class NotRefreshable(Invalid):
    """The secret has no refresh token."""


class ProviderFault(Invalid):
    """The authorization server refused a refresh, or could not be reached; `code` says which."""


class Unauthorized(Refused):
    """401: no valid user name and API key."""


class Forbidden(Refused):
    """403: the permission is missing."""


class NotFound(Refused):
    """404: there is no such thing, or it is not the caller's to see."""


class Conflict(Refused):
    """409: the current state does not allow it."""


class TokenNotValid(Conflict):
    """The token is not good for `min_validity` seconds and could not be renewed; `meta` says why."""


class RateLimited(Refused):
    """429: too many requests; wait for `retry_after` seconds."""


class ServerFault(Refused):
    """5xx: Keyrack's own fault; a safe request was tried several times."""


_BY_CODE: Mapping[str, type[Refused]] = {
    "not_refreshable": NotRefreshable,
    "provider_error": ProviderFault,
    "provider_unavailable": ProviderFault,
    "token_not_valid": TokenNotValid,
}
_BY_STATUS: Mapping[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
_SERVER = 500


def refusal(
    status: int, problems: Sequence[Problem], retry_after: float | None = None, request_id: str | None = None
) -> Refused:
    """Return the error of the class that fits best."""
    general = ServerFault if status >= _SERVER else _BY_STATUS.get(status, Refused)
    return _BY_CODE.get(problems[0].code, general)(status, problems, retry_after, request_id)
