"""A mail server on loopback that keeps what it is sent; with TLS and passwords if a test wants them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "keyrack", "pass/word:1"


@dataclass
class MailServerInTest:
    """What it was sent, and how it answers.

    Attributes:
        port: where it listens.
        ca_file: the authority that its certificate is from.
        taken: mails by recipient, in order.
        offered: recipients it was asked to take mail for.
        rcpt: what it answers when it is asked so; None: it takes the mail.
        hangs: it takes mail and does not say so until it is released.
        released: whether it is.
    """

    port: int = 0
    ca_file: Path | None = None
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    rcpt: str | None = None
    hangs: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        self.offered.append(address)
        if self.rcpt is not None:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.hangs:
            await self.released.wait()
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        assert server.transport is not None
        message["X-Was-Encrypted"] = str(server.transport.get_extra_info("sslcontext") is not None)
        self.taken += [(recipient, message) for recipient in envelope.rcpt_tos]
        return "250 OK"

    def url(self, scheme: str = "smtp", *, login: bool = False) -> str:
        """Return the setting that leads to it."""
        who = f"{USER}:{PASSWORD.replace('/', '%2F').replace(':', '%3A')}@" if login else ""
        return f"{scheme}://{who}localhost:{self.port}"


def _knows(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
    assert isinstance(given, LoginPassword)
    return AuthResult(success=(given.login, given.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@asynccontextmanager
async def mail_server(folder: Path, tls: str = "starttls", *, login: bool = False) -> AsyncIterator[MailServerInTest]:
    """Run one; `tls` is `at once`, `starttls` or `none`."""
    served = MailServerInTest()
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    served.ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(served.ca_file))
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            served,
            enable_SMTPUTF8=True,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=_knows if login else None,
            auth_required=login,
            auth_require_tls=tls == "starttls",
            loop=loop,
            hostname="localhost",
        )

    server = await loop.create_server(protocol, "localhost", 0, ssl=context if tls == "at once" else None, family=2)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        served.released.set()
        server.close()
        await server.wait_closed()
