"""Writes the mail that carries a setup link or tells of an invite (RFC 5322). No text in it can become a header."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from keyrack.errors import ConfigurationError

_DELIVERABLE = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)*")
"""Addresses that need no quoting (RFC 5321 section 4.1.2, RFC 6531 section 3.3); those of API users may be odder."""

_ACCOUNT = """{invited_by} made an account for you at {tenant_name}, on Keyrack.

Your user name is {email}. Open this link to get your first API key. The key is shown once, so have a safe place for
it at hand.

{url}

The link is good for a day, and once. If you do not know what this is about, ignore this mail: nothing happens then.
"""
_INVITE = """{invited_by} invites you to {contract_name} at {tenant_name}, on Keyrack.

Open this link to join and to get your first API key. Your user name is {email}. The key is shown once, so have a safe
place for it at hand.

{url}

The link is good for a day, and once. If you do not know what this is about, ignore this mail: nothing happens then.
"""
_INVITE_OF_USER = """{invited_by} invites you to {contract_name} at {tenant_name}, on Keyrack.

You have an account already: {email}. Your invites are at /v2/users/me/invites, where you accept this one.

If you do not know what this is about, ignore this mail: nothing happens then.
"""


class Undeliverable(Exception):
    """The address is none that mail can be sent to."""


def sender_of(text: str | None) -> Address:
    """Return the address that mail is from.

    Raises:
        ConfigurationError: it is missing, or no address.
    """
    name, address = parseaddr(text or "")
    local, _, domain = address.rpartition("@")
    printable = all(letter.isprintable() for letter in text or "")
    if not printable or _DELIVERABLE.fullmatch(address) is None or not domain.isascii():
        raise ConfigurationError("KEYRACK_SMTP_FROM must be an address, such as Keyrack <keyrack@example.com>")
    return Address(name, local, domain)


def recipient_of(email: str) -> Address:
    """Return the address of a person, its domain in ASCII (RFC 5890).

    Raises:
        Undeliverable: it is none that mail can be sent to.
    """
    if _DELIVERABLE.fullmatch(email) is None:
        raise Undeliverable
    local, _, domain = email.rpartition("@")
    try:
        return Address("", local, domain.encode("idna").decode("ascii"))
    except UnicodeError:
        raise Undeliverable from None


def write_message(sender: Address, mail_id: str, content: Mapping[str, object], now: datetime) -> EmailMessage:
    """Write a mail.

    Args:
        sender: whom it is from.
        mail_id: the same for every attempt, so that a mail that is sent twice can be told.
        content: `email`, `invited_by`, `tenant_name`, `contract_name` of an invite, and `url` of a link or None; names
            are in one line and printable.
        now: when it is sent.

    Raises:
        Undeliverable: the address is none that mail can be sent to.
    """
    told = {name: str(value) for name, value in content.items()}
    invites = "contract_name" in told
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient_of(told["email"])
    message["Subject"] = (
        "{invited_by} invites you to {contract_name}" if invites else "Your account at {tenant_name}"
    ).format(**told)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's holiday notice is wanted
    body = _ACCOUNT if not invites else _INVITE if content.get("url") else _INVITE_OF_USER
    message.set_content(body.format(**told))
    return message
