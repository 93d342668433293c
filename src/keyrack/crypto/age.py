"""Encrypts files to people with age (https://age-encryption.org/v1), for exports with secret values."""

from collections.abc import Sequence

from pyrage import DecryptError, IdentityError, RecipientError, decrypt, encrypt, x25519

from keyrack.errors import ConfigurationError

_BEGINNINGS = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")


def is_encrypted(content: bytes) -> bool:
    """Tell whether a file is one of age."""
    return content.startswith(_BEGINNINGS)


def seal(content: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypt a file so that each recipient (`age1...`) alone can read it.

    Raises:
        ConfigurationError: one is no recipient, or there is none.
    """
    return bytes(encrypt(content, _recipients(recipients)))


def require_recipients(recipients: Sequence[str]) -> None:
    """Make sure that `seal` can do its work.

    Raises:
        ConfigurationError: one is no recipient, or there is none.
    """
    _recipients(recipients)


def open_sealed(content: bytes, authentication: str) -> bytes:
    """Decrypt a file with one of the identities that `age-keygen` wrote.

    Raises:
        ConfigurationError: there is no identity, or the file is for others or damaged.
    """
    lines = [line.strip() for line in authentication.splitlines() if line.strip() and not line.startswith("#")]
    try:
        keys = [x25519.Identity.from_str(line) for line in lines]
    except IdentityError:
        keys = []
    if not keys:
        raise ConfigurationError("the identity file has no age identity (AGE-SECRET-KEY-1...)")
    try:
        return bytes(decrypt(content, keys))
    except DecryptError:
        raise ConfigurationError("the file is encrypted to others, or damaged") from None


def _recipients(recipients: Sequence[str]) -> list[x25519.Recipient]:
    if not recipients:
        raise ConfigurationError("secrets are only exported to a recipient: --recipient age1...")
    try:
        return [x25519.Recipient.from_str(recipient) for recipient in recipients]
    except RecipientError:
        raise ConfigurationError("a recipient is no age recipient (age1...)") from None
