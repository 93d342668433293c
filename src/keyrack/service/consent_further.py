"""Calls to a provider that some consents need beside the exchange."""

from dataclasses import dataclass

from keyrack.service.consent_long_lived import LongLivedTokens
from keyrack.service.consent_temporary import TemporaryRequests


@dataclass(frozen=True, slots=True)
class FurtherCalls:
    """All of them.

    Attributes:
        temporary: before it, with OAuth 1.0a.
        long_lived: after it, where the first token is a short-lived one.
    """

    temporary: TemporaryRequests
    long_lived: LongLivedTokens
