"""Says why a consent failed, in our words and the provider's (contract 20.3)."""

from keyrack.errors import Forbidden, KeyrackError, ProviderError


def reason_of(error: KeyrackError) -> str:
    """Say a failure to the person in front of the browser."""
    if isinstance(error, Forbidden):
        return f"You may not connect this account: {error}"
    return "; ".join(problem.detail for problem in error.problems)


def said_by_provider(error: KeyrackError) -> dict[str, str]:
    """Return what the provider said about a failure (RFC 6749 sections 4.1.2.1 and 5.2)."""
    return error.failure.said if isinstance(error, ProviderError) else {}


def told_of(error: KeyrackError) -> str:
    """Return both, as the one who started the consent is told."""
    reason, said = reason_of(error), said_by_provider(error)
    return f"{reason} ({': '.join(said.values())})" if said else reason
