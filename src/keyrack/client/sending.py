"""Sends requests for both clients: address, authentication, timeouts, retries."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from keyrack.client.documents import Answer, retry_after, time_of
from keyrack.client.errors import Misconfigured, Unreachable
from keyrack.crypto.secret import Secret

TRIES = 3
_SAFE = {"GET", "HEAD"}
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_CONNECT_SECONDS = 5.0
_SERVER_FAULTS = 500


@dataclass(frozen=True, slots=True)
class Account:
    """Where Keyrack is, and who asks.

    Attributes:
        base_url: without a slash at the end; may have a path.
    """

    base_url: str
    username: str
    api_key: Secret = field(repr=False)

    @classmethod
    def of(cls, base_url: str, username: str, api_key: str | Secret) -> "Account":
        """Check what the user gave.

        Raises:
            Misconfigured: the address is not an absolute http(s) URL without query, or name or key is empty.
        """
        address = base_url.strip().rstrip("/")
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise Misconfigured("base_url must be an absolute http or https address")
        if parts.username is not None or parts.password is not None:
            raise Misconfigured("base_url must not have a user name in it")
        key = api_key if isinstance(api_key, Secret) else Secret(api_key)
        if not username or not key:
            raise Misconfigured("username and api_key must not be empty")
        return cls(address, username, key)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "Account":
        """Read what the platform gives a running component (contract 18.1).

        Raises:
            Misconfigured: a variable is missing or wrong.
        """
        given = os.environ if variables is None else variables
        names = ("ELASTICIO_API_URI", "ELASTICIO_API_USERNAME", "ELASTICIO_API_KEY")
        missing = [name for name in names if not given.get(name)]
        if missing:
            raise Misconfigured(f"not set: {', '.join(missing)}")
        return cls.of(*(given[name] for name in names))

    @property
    def auth(self) -> httpx2.BasicAuth:
        """What every request is signed with (contract section 2)."""
        return httpx2.BasicAuth(self.username, self.api_key.reveal())

    def unreachable(self, error: Exception, tries: int, asked: str) -> Unreachable:
        """Return the error for a request that got no answer: it names the host, and nothing that may be secret.

        Args:
            error: what the last try ended with.
            tries: how many there were.
            asked: method and path of the request, without its query.
        """
        parts = urlsplit(self.base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        times = f"{tries} {'try' if tries == 1 else 'tries'}"
        return Unreachable(f"{type(error).__name__} after {times}: {asked} at {parts.scheme}://{host}{port}")


def timeouts(seconds: float) -> httpx2.Timeout:
    """Return the bounds of one request: Keyrack answers within 20 s where it waits for a provider (contract 0.12)."""
    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


def answer_of(response: httpx2.Response) -> Answer:
    """Return an answer with its JSON read."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(response.status_code, response.headers, body, time_of(response.headers))


def pause_after_fault(method: str, tries: int) -> float | None:
    """Return the seconds to wait before a request that got no answer is sent again; None: it is not."""
    if method not in _SAFE or tries >= TRIES:
        return None
    return _FIRST_PAUSE * (1 << (tries - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - it only spreads retries


def pause_after(method: str, answer: Answer, tries: int) -> float | None:
    """Return the seconds to wait before a request that got this answer is sent again; None: it is not."""
    if answer.status < _SERVER_FAULTS:
        return None
    pause = pause_after_fault(method, tries)
    asked = retry_after(answer.headers, answer.at)
    if pause is None or asked is None:
        return pause
    return max(pause, asked) if asked <= _LONGEST_PAUSE else None
