"""Counts tries to prove who one is, by password or code, so that nobody can guess (decision 28)."""

from dataclasses import dataclass

from litestar import Response

from keyrack.console.core.requests import AnyRequest, Console, visitor_of
from keyrack.console.core.session_cookie import device_cookie, device_note, needs_https
from keyrack.service.identity.known_devices import KNOWN_FOR
from keyrack.validation.emails import email_key

_LONGEST_NAME = 320


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try.

    Attributes:
        console: where it is made.
        account: whose account it is for: the key of the email, or the name.
        address: where it comes from.
        device: the browser, if somebody has signed in to the account with it before.
    """

    console: Console
    account: str
    address: str | None
    device: str | None

    def count(self) -> None:
        """Count it, before anything is checked.

        Raises:
            RateLimited: there were too many.
        """
        self.console.throttle.password_tried(self.account, self.address, self.device)

    def was_right(self, *, signed_in: bool = True) -> None:
        """Take it back; `signed_in`: nothing else is asked for."""
        self.console.throttle.password_right(self.account, self.address, self.device, signed_in=signed_in)

    async def remember(self, answer: Response[str]) -> None:
        """Let the browser be known for the account from now on."""
        note = await self.console.sign_in.devices.remember(self.account, self.device)
        secure = needs_https(self.console.public_url)
        answer.set_cookie(device_cookie(note, int(KNOWN_FOR.total_seconds()), secure=secure))


async def attempt_of(request: AnyRequest, console: Console, name: str) -> Attempt:
    """Return a try to prove who one is.

    Args:
        request: by which it is made.
        console: where.
        name: the email or account name that was given.
    """
    account = email_key(name[:_LONGEST_NAME])
    note = device_note(request.cookies, secure=needs_https(console.public_url))
    device = None if note is None else await console.sign_in.devices.known(account, note)
    return Attempt(console, account, visitor_of(request).address, device)
