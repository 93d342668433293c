"""What states of grants, results of refreshes and circuits are called on the operator's pages."""

from collections.abc import Mapping
from dataclasses import dataclass

from keyrack.model.operations import GrantState, RefreshResult


@dataclass(frozen=True, slots=True)
class Word:
    """What something is called.

    Attributes:
        text: in a few words.
        kind: of its badge: `good`, `warn`, `bad` or `plain`.
        meaning: in a sentence.
    """

    text: str
    kind: str
    meaning: str


STATES: Mapping[GrantState, Word] = {
    GrantState.ready: Word("Ready", "good", "The token is valid, or does not expire."),
    GrantState.failing: Word("Failing", "warn", "The token is still valid, but the last refresh failed."),
    GrantState.paused: Word("Paused", "warn", "The token is still valid, but the provider rejects the auth client."),
    GrantState.reauthorization_required: Word("Ended", "bad", "The provider ended the grant. Its user must reconnect."),
    GrantState.refresh_interrupted: Word("Interrupted", "bad", "A refresh was cut off. The user must reconnect."),
    GrantState.client_rejected: Word("Client rejected", "bad", "Expired, and the provider rejects the auth client."),
    GrantState.provider_refused: Word("Refused", "bad", "Expired, and the provider refuses to renew it."),
    GrantState.provider_unavailable: Word("Unavailable", "bad", "Expired, and the provider does not answer."),
    GrantState.unsupported_token_type: Word("Unusable", "bad", "The provider sent tokens that cannot be used."),
    GrantState.token_expired: Word("Expired", "bad", "Expired, and there is no refresh token."),
    GrantState.awaiting_cutover: Word("Awaits cutover", "bad", "Expired, and its import has not been cut over."),
    GrantState.other: Word("In error", "bad", "Set by hand, or for a reason this version does not know."),
}
"""In the order in which pages name them."""

RESULTS: Mapping[RefreshResult, Word] = {
    RefreshResult.renewed: Word("Renewed", "good", "New tokens were stored."),
    RefreshResult.reauthorization_required: Word("Grant ended", "bad", "The user must connect again."),
    RefreshResult.client_rejected: Word("Client rejected", "bad", "The auth client's id or secret is wrong."),
    RefreshResult.refused: Word("Refused", "bad", "The provider refused for another reason."),
    RefreshResult.unavailable: Word("Unavailable", "warn", "The provider did not answer, or could not."),
    RefreshResult.held_back: Word("Held back", "warn", "Not sent: the circuit was open, or there was no turn."),
    RefreshResult.unknown: Word("Answer lost", "warn", "The answer was lost on the way."),
}
CIRCUITS: Mapping[str, Word] = {
    "closed": Word("closed", "good", "It is called."),
    "half_open": Word("open for some", "warn", "Some tenants' calls fail and are paused, or one is tried."),
    "open": Word("open", "bad", "The calls of several tenants fail; each tries one at a time."),
}


def duration(seconds: float) -> str:
    """Return how long something is, such as "4 min"; whole units, rounded down."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def number(count: int, most: int | None = None) -> str:
    """Return a number with its thousands apart; with a plus where it was counted only so far."""
    told = f"{count:,}".replace(",", "\u202f")
    return f"{told}+" if most is not None and count >= most else told
