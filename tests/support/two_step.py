"""Authenticator apps for people at the console, and a clock that a test moves on."""

import base64
import re
from datetime import datetime, timedelta

from keyrack import clock
from keyrack.crypto.totp import code_at, step_at


class Time:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead

    def pass_by(self, **how_long: float) -> None:
        self.ahead += timedelta(**how_long)


class Phone:
    """An app that shows codes.

    Attributes:
        secret: what it shares with the server, in base32.
    """

    def __init__(self, secret: str, time: Time) -> None:
        self.secret = secret
        self._time = time

    def code(self, later: int = 0) -> str:
        """Return the code of now, or of some time steps later."""
        return code_at(base64.b32decode(self.secret), step_at(self._time()) + later)

    def new_code(self) -> str:
        """Wait for the next code, which was not used yet."""
        self._time.pass_by(seconds=30)
        return self.code()

    def wrong_code(self) -> str:
        around = [self.code(later) for later in (-2, -1, 0, 1, 2)]
        return next(code for code in ("111111", "222222", "333333", "444444", "555555", "666666") if code not in around)


def secret_on(page: str) -> str:
    """Return the secret that a page shows."""
    found = re.search(r'id="totp-secret">([A-Z2-7 ]+)<', page)
    assert found is not None
    return found[1].replace(" ", "")


def codes_on(page: str) -> list[str]:
    """Return the recovery codes that a page shows."""
    return re.findall(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>", page)
