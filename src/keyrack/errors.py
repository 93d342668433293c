"""Everything Keyrack refuses, by name. A class's docstring is its default message.

The HTTP status, code and title of each class stand in one table, `keyrack.api.core.errors` (contract section 3).
No message may ever contain a token, a client secret or an environment value.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request.

    Attributes:
        detail: what is wrong, for a person.
        pointer: JSON pointer into the request document (RFC 6901), when a member is at fault.
        parameter: name of the query parameter, when one is at fault.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class KeyrackError(Exception):
    """Keyrack could not do what was asked."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        pointer: str | None = None,
        parameter: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.problem = Problem(detail or inspect.cleandoc(type(self).__doc__ or ""), pointer, parameter)
        self.meta = meta
        super().__init__(self.problem.detail)

    @property
    def problems(self) -> Sequence[Problem]:
        """All that is wrong, one entry each; never empty."""
        return (self.problem,)

    @property
    def for_operators(self) -> Sequence[str]:
        """What the command line says, a line each: what an answer says, unless an operator may know more."""
        return [problem.detail for problem in self.problems]


class Unauthorized(KeyrackError):
    """A valid user name and API key are required."""


class Forbidden(KeyrackError):
    """You are not permitted to do this."""

    permission: str | None = None
    """That was missing, if it was one; for the audit log."""


class ContractSuspended(Forbidden):
    """The contract is suspended; nothing in it can be changed."""


class NotFound(KeyrackError):
    """There is no such resource."""


class RelatedNotFound(KeyrackError):
    """A related resource named in the request does not exist."""


class MethodNotAllowed(KeyrackError):
    """The route exists but does not take this method."""

    def __init__(self, allow: Sequence[str]) -> None:
        super().__init__(f"The route exists but does not take this method; it takes {', '.join(allow)}.")
        self.allow = tuple(allow)


class NotAcceptable(KeyrackError):
    """Only JSON is accepted and only JSON is sent."""


class PayloadTooLarge(KeyrackError):
    """The request body is larger than 1 MiB."""


class HeadTooLarge(KeyrackError):
    """The request line and headers are longer than 64 KiB, or there are more than 100 headers."""


class RequestTimeout(KeyrackError):
    """The request did not arrive in time."""


class TooManyConnections(KeyrackError):
    """There are too many connections, here or from your address; try again shortly."""


class BadRequest(KeyrackError):
    """The request cannot be understood."""


class ValidationFailed(KeyrackError):
    """The request is not valid."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a ValidationFailed needs at least one problem")
        super().__init__(problems[0].detail, pointer=problems[0].pointer, parameter=problems[0].parameter)
        self._problems = problems

    @property
    def problems(self) -> Sequence[Problem]:
        """All that is wrong with the request."""
        return self._problems


class TypeConflict(KeyrackError):
    """The resource type does not belong to this endpoint."""


class IdConflict(KeyrackError):
    """The id in the body conflicts with the one in the path or with an existing one."""


class AlreadyExists(KeyrackError):
    """The resource already exists."""


class InUse(KeyrackError):
    """The resource is in use."""


class StateConflict(KeyrackError):
    """The current state does not allow this."""


class QuotaExceeded(KeyrackError):
    """A quota of the tenant is used up; delete something, or ask the operator to raise it."""


class OAuthClientMissing(KeyrackError):
    """The tenant has no OAuth client for this component; a tenant admin can create one."""


class FrozenError(KeyrackError):
    """The operator has frozen this, because of an incident; nobody reads it until that is lifted."""


class NotRefreshable(KeyrackError):
    """This secret cannot be refreshed."""


class TokenNotValid(KeyrackError):
    """The token is not valid for as long as requested and could not be refreshed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailure:
    """What is known of a call to a provider that brought nothing. None of it is secret; None: not known, or not so.

    Attributes:
        status: HTTP status of the answer; None if there was none, or none could be read.
        error: the provider's error code (RFC 6749 sections 4.1.2.1 and 5.2), masked and bounded.
        error_description: the provider's words (same sections), masked and bounded.
        error_uri: address of a page about the error (same sections), bounded.
        reason: why there is no answer to use, in a word of ours: `keyrack.provider.faults.Reason`,
            `keyrack.oauth.wire.AnswerFault`, or why the call was not made (`busy`, `circuit_open`, …).
        sent: whether the provider may have seen the request; False only if it is certain that no byte was written.
        received: an answer came, but cannot be used.
        retry_after: seconds that the provider asked us to wait (`Retry-After`, RFC 9110 section 10.2.3).
        exact_reason: for metrics: what `reason` keeps from tenants (`keyrack.provider.faults.Reason`); never shown.
        codes: all that may be an error code in the answer, the likeliest first; for machines, never shown.
        is_page: the answer was a web page, so that perhaps it came from something else in between; never shown.
        null_members: names of members that `meta` tells as null. Only of a rejection that was kept, where the null
            says that the provider did not tell.
    """

    status: int | None = None
    error: str | None = None
    error_description: str | None = None
    error_uri: str | None = None
    reason: str | None = None
    sent: bool | None = None
    received: bool | None = None
    retry_after: int | None = None
    exact_reason: str | None = field(default=None, repr=False)
    codes: tuple[str, ...] = field(default=(), repr=False)
    is_page: bool = field(default=False, repr=False)
    null_members: tuple[str, ...] = field(default=(), repr=False)

    @property
    def said(self) -> dict[str, str]:
        """What the provider said: `error`, `error_description` and `error_uri`, as far as it did."""
        words = {"error": self.error, "error_description": self.error_description, "error_uri": self.error_uri}
        return {name: text for name, text in words.items() if text}

    @property
    def meta(self) -> dict[str, Any]:
        """What the error document tells as `meta` (contract section 3): the only place that decides so."""
        members = {
            "reason": self.reason,
            "sent": self.sent,
            "received": self.received,
            "status": self.status,
            "retry_after": self.retry_after,
            "error": self.error,
            "error_description": self.error_description,
            "error_uri": self.error_uri,
        }
        return {name: value for name, value in members.items() if value is not None or name in self.null_members}


class _ProviderFailed(KeyrackError):
    """A call to a provider brought nothing."""

    def __init__(self, detail: str | None = None, failure: ProviderFailure | None = None) -> None:
        self.failure = failure or ProviderFailure()
        super().__init__(detail, meta=self.failure.meta or None)


class ProviderError(_ProviderFailed):
    """The authorization server refused the request."""


class ProviderUnavailable(_ProviderFailed):
    """The authorization server could not be reached or did not answer in time."""


class RateLimited(KeyrackError):
    """Too many requests."""

    def __init__(self, retry_after: int, detail: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class DatabaseUnavailable(KeyrackError):
    """The database cannot be reached; try again shortly."""

    def __init__(self, detail: str | None = None, *, cause: str | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        """Which database, and why, for the operator; it never belongs into an answer, and has no password."""

    @property
    def for_operators(self) -> Sequence[str]:
        """The cause, if it is known."""
        return super().for_operators if self.cause is None else (self.cause,)


class DiskFull(DatabaseUnavailable):
    """The disk of the database is full: nothing is stored until there is room again; reading goes on."""


class KeyServiceUnavailable(KeyrackError):
    """The key service, which keeps the key-encryption key, cannot be used; try again shortly."""

    def __init__(self, detail: str | None = None, *, cause: str | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        """Which key of which service, and why, for the operator; it never belongs into an answer."""

    @property
    def for_operators(self) -> Sequence[str]:
        """The cause, if it is known."""
        return super().for_operators if not self.cause else (f"the key service cannot be used: {self.cause}",)


class DataKeyRetired(KeyrackError):
    """The key that this was encrypted with was retired meanwhile; try again."""


class ConfigurationError(KeyrackError):
    """Keyrack is not set up correctly."""


class WrongKey(ConfigurationError):
    """The key-encryption key is missing or is not the one this database was sealed with."""
