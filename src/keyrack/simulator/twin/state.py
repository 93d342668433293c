"""What a twin knows of its client and its connection, and what it has found wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.simulator.twin.answers import error_answer, nth
from keyrack.simulator.twin.expectation import Difference, Order
from keyrack.simulator.twin.orders import Reading
from keyrack.simulator.twin.received import Pair, Received, Reply, Unreadable, members_of, pairs_of
from keyrack.simulator.twin.registration import Registration

ACCOUNT, ACCOUNT_ID = "Alice at the twin", "account-7"
"""Whose account it is: what people know it by, and what the provider does."""


@dataclass
class TwinState:
    """What a twin knows of its client and its connection, and what it has found.

    Attributes:
        profile: whom it plays.
        registered: the client and the connection.
        told: what the provider tells besides tokens, for placeholders: by the names that the profile calls learned.
        turn: which of several places in an answer is used.
        refuses: answer the next refresh with an error after which only a new consent helps.
        differences: what was not as the profile says, of all requests.
        requests: every request that came, as it can be shown: secrets are masked.
        access_token: the newest; empty before the first.
        refresh_token: the newest that works; empty if there is none.
        revoked: tokens that were revoked.
        introspected: tokens that were asked about.
        agrees: whether the person has agreed who was to enter a device's code.
    """

    profile: ProviderProfile
    registered: Registration
    told: dict[str, str] = field(default_factory=dict)
    turn: int = 0
    refuses: bool = False
    differences: list[Difference] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    access_token: str = ""
    refresh_token: str = ""
    revoked: list[str] = field(default_factory=list)
    introspected: list[str] = field(default_factory=list)
    agrees: bool = False

    def __post_init__(self) -> None:
        self._reading = Reading(self.profile, self.registered)
        self._scopes: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes that were granted."""
        return self._scopes

    def _account(self) -> dict[str, str]:
        answer = self.profile.answer
        said = ((answer.account, ACCOUNT), (answer.account_id, ACCOUNT_ID))
        return {nth(paths, self.turn): text for paths, text in said if paths}

    def _refused(self, received: Received, order: Order) -> Reply | None:
        """Keep what of a request differs, and return the refusal; None if nothing does."""
        self.requests.append(order.shown(received))
        found = order.differences(received)
        self.differences += found
        if not found:
            return None
        return Reply(*error_answer(self.profile.answer, "invalid_request", str(found[0])))

    def _differs(self, request: str, what: str, pointer: str) -> None:
        self.differences.append(Difference(request, what, pointer))


def values_of(received: Received) -> list[str]:
    """Return all texts that a request carries as parameters, wherever they are and whatever they are called."""
    return list(_texts(received))


def _texts(received: Received) -> Iterator[str]:
    readers: tuple[Callable[[], list[Pair]], ...] = (
        lambda: pairs_of(received.query),
        lambda: members_of(received.body),
        lambda: pairs_of(received.body.decode(errors="replace")),
    )
    for read in readers:
        try:
            yield from (str(pair.value) for pair in read())
        except Unreadable:
            continue
