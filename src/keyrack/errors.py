"""Everything Keyrack refuses, by name. A class's docstring is its default message.

The HTTP status, code and title of each class stand in one table, `keyrack.api.core.errors` (contract section 3).
No message may ever contain a token, a client secret or an environment value.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


class Unauthorized(KeyrackError):
    """A valid user name and API key are required."""


class Forbidden(KeyrackError):
    """You are not permitted to do this."""


class ContractSuspended(Forbidden):
    """The contract is suspended; nothing in it can be changed."""


class NotFound(KeyrackError):
    """There is no such resource."""


class RelatedNotFound(KeyrackError):
    """A related resource named in the request does not exist."""


class MethodNotAllowed(KeyrackError):
    """The route exists but does not take this method."""

    def __init__(self, allow: Sequence[str]) -> None:
        super().__init__()
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
    """The tenant has no OAuth client for this component yet; a tenant admin must create one."""


class NotRefreshable(KeyrackError):
    """This secret cannot be refreshed."""


class TokenNotValid(KeyrackError):
    """The token is not valid for as long as requested and could not be refreshed."""


class ProviderError(KeyrackError):
    """The authorization server refused the request."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        codes: Sequence[str] = (),
        is_page: bool = False,
    ) -> None:
        super().__init__(detail, meta=meta)
        self.codes = tuple(codes)
        """All that may be an error code in the answer, the likeliest first; for machines, never shown."""
        self.is_page = is_page
        """The answer was a web page, so that perhaps it came from something else in between."""


class ProviderUnavailable(KeyrackError):
    """The authorization server could not be reached or did not answer in time."""

    exact_reason: str | None = None
    """For metrics: `meta["reason"]`, or what it keeps from tenants (`keyrack.provider.faults.Reason`)."""


class RateLimited(KeyrackError):
    """Too many requests."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class DatabaseUnavailable(KeyrackError):
    """The database cannot be reached; try again shortly."""


class ConfigurationError(KeyrackError):
    """Keyrack is not set up correctly."""


class WrongKey(ConfigurationError):
    """The key-encryption key is missing or is not the one this database was sealed with."""
