"""Holds device codes in memory, bounded: who asks, what the person decided, how often the client may ask (RFC 8628)."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyrack.clock import Clock
from keyrack.errors import NotFound
from keyrack.simulator.behaviour import Behaviour, Overrides

SLOWER = 5
"""Seconds that `slow_down` adds to the interval, from then on (RFC 8628 section 3.5)."""

_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels, so that no words come of it (RFC 8628 section 6.1)."""
_MOST = 10_000


@dataclass(slots=True)
class DeviceCode:
    """One device authorization request.

    Attributes:
        client_id: who asks.
        user_code: what the person enters.
        scope: asked for.
        interval: seconds between two token requests at least.
        expires_at: seconds since 1970.
        parameters: of the request.
        behaviour: how it is answered.
        travelling: behaviour chosen for what comes of it.
        login: who allowed it; None while nobody has decided.
        denied: somebody said no.
        used: it was exchanged.
        polled_at: when the client last asked; seconds since 1970.
        slowed: how often it asked too soon.
    """

    client_id: str
    user_code: str
    scope: str
    interval: int
    expires_at: float
    parameters: Mapping[str, str] = field(repr=False)
    behaviour: Behaviour
    travelling: Overrides
    login: str | None = None
    denied: bool = False
    used: bool = False
    polled_at: float | None = None
    slowed: int = 0

    @property
    def decided(self) -> bool:
        """Whether somebody has allowed or denied it."""
        return self.denied or self.login is not None


class DeviceBook:
    """Issues and finds device codes; the oldest are forgotten first.

    Args:
        clock: what time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codes: OrderedDict[str, DeviceCode] = OrderedDict()
        self._by_user_code: dict[str, DeviceCode] = {}

    def now(self) -> float:
        """Return the current time in seconds since 1970."""
        return self._clock().timestamp()

    def issue(
        self,
        client_id: str,
        scope: str,
        parameters: Mapping[str, str],
        behaviour: Behaviour,
        travelling: Overrides,
    ) -> tuple[str, DeviceCode]:
        """Return a new device code, and what is known by it."""
        user_code = self._new_user_code()
        found = DeviceCode(
            client_id,
            user_code,
            scope,
            behaviour.device_interval,
            self.now() + behaviour.device_code_lifetime,
            parameters,
            behaviour,
            travelling,
        )
        value = secrets.token_urlsafe(24)
        self._codes[value] = self._by_user_code[_plain(user_code)] = found
        if len(self._codes) > _MOST:
            _, oldest = self._codes.popitem(last=False)
            self._by_user_code.pop(_plain(oldest.user_code), None)
        return value, found

    def find(self, device_code: str) -> DeviceCode | None:
        """Find a device code, whatever its state."""
        return self._codes.get(device_code)

    def waiting(self, user_code: str) -> DeviceCode | None:
        """Find what a person has entered the code of, while it can be decided; case and dashes do not matter (6.1)."""
        found = self._by_user_code.get(_plain(user_code))
        open_still = found is not None and not found.decided and found.expires_at > self.now()
        return found if open_still else None

    def decide(self, user_code: str, login: str | None) -> None:
        """Allow a waiting request as a user, or deny it with None.

        Raises:
            NotFound: none waits under this code.
        """
        found = self.waiting(user_code)
        if found is None:
            raise NotFound("no device waits under this code")
        found.login, found.denied = login, login is None

    def _new_user_code(self) -> str:
        while True:
            letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
            if letters not in self._by_user_code:
                return f"{letters[:4]}-{letters[4:]}"


def _plain(user_code: str) -> str:
    return "".join(character for character in user_code.upper() if character in _ALPHABET)
