"""Hands mail to the operator's mail server (RFC 5321), over TLS whose certificate is checked (RFC 8314, RFC 3207)."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError

_PORTS = {"smtp": 587, "smtps": 465}
_FORM = "KEYRACK_SMTP_URL must be smtps://USER:PASSWORD@HOST:PORT or smtp://USER:PASSWORD@HOST:PORT"
_REFUSED_FOR_GOOD = range(500, 600)
_ABOUT_THE_MAIL = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError)
_REASONS: Sequence[tuple[type[Exception], str]] = (
    (aiosmtplib.SMTPAuthenticationError, "authentication"),  # a setting to be mended, not the mail's fault
    (TimeoutError, "timeout"),
    (ssl.SSLError, "tls"),
    (OSError, "connect"),
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Attributes:
        host: its name or address.
        port: its port.
        tls_at_once: TLS from the first byte; else STARTTLS.
        username: None: it asks for none.
        password: of that user.
    """

    host: str
    port: int
    tls_at_once: bool
    username: str | None
    password: Secret | None


class MailNotSent(Exception):
    """A mail server did not take a mail.

    Attributes:
        reason: why, in a word or as the status; nothing that the server wrote.
        for_good: whether trying again is of no use.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


def mail_server(url: Secret) -> MailServer:
    """Read the setting `KEYRACK_SMTP_URL`.

    Raises:
        ConfigurationError: it is no such URL; the message does not have it.
    """
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(_FORM) from None
    more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not host or more or (parts.password is not None and not parts.username):
        raise ConfigurationError(_FORM)
    return MailServer(
        host,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        None if not parts.username else unquote(parts.username),
        None if parts.password is None else Secret(unquote(parts.password)),
    )


class MailClient:
    """Sends mail, one connection each.

    Args:
        server: where it is handed in.
        tls: makes what the server's certificate is judged by.
        timeout: seconds that all of it may take.
        allow_insecure: whether it goes without TLS where the server offers none.
    """

    def __init__(
        self, server: MailServer, tls: Callable[[], ssl.SSLContext], *, timeout: float, allow_insecure: bool
    ) -> None:
        self._server = server
        self._tls = tls
        self._timeout = timeout
        self._allow_insecure = allow_insecure

    async def check(self) -> None:
        """Connect and sign in, and send nothing.

        Raises:
            MailNotSent: that cannot be done.
        """
        client = self._client(None)
        try:
            async with asyncio.timeout(self._timeout):
                await client.connect()
                with suppress(aiosmtplib.SMTPException, OSError):
                    await client.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _not_sent(error) from None
        finally:
            client.close()

    async def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand a mail in.

        Args:
            message: the mail.
            sender: where it comes back to if it cannot be delivered.
            recipient: whom it is for.

        Raises:
            MailNotSent: the server did not take it.
        """
        client = self._client(sender.rpartition("@")[2])
        try:
            async with asyncio.timeout(self._timeout):
                await client.connect()
                await client.send_message(message, sender=sender, recipients=[recipient])
                with suppress(aiosmtplib.SMTPException, OSError):  # it has been taken: how the talk ends is no matter
                    await client.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _not_sent(error) from None
        finally:
            client.close()

    def _client(self, local_hostname: str | None) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=None if server.password is None else server.password.reveal(),
            local_hostname=local_hostname,
            timeout=self._timeout,
            use_tls=server.tls_at_once,
            start_tls=False if server.tls_at_once else None if self._allow_insecure else True,
            tls_context=self._tls(),
        )


def _not_sent(error: Exception) -> MailNotSent:
    """Say why a mail was not taken, without the server's words, which may have the address or more."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, _ABOUT_THE_MAIL):
        return MailNotSent(str(error.code), for_good=error.code in _REFUSED_FOR_GOOD)
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return MailNotSent("not_supported", for_good=True)
    return MailNotSent(next((word for kind, word in _REASONS if isinstance(error, kind)), "protocol"))
