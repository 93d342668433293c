"""Encrypts files to people with age (https://age-encryption.org/v1), for exports with secret values."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import BinaryIO, Literal

from pyrage import DecryptError, EncryptError, IdentityError, RecipientError, decrypt_io, encrypt_io, x25519

from keyrack.errors import ConfigurationError

_NOT_OURS = "the file is encrypted to others, or damaged"
_BEGINNINGS = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
LONGEST_BEGINNING = max(map(len, _BEGINNINGS))


def is_encrypted(beginning: bytes) -> bool:
    """Tell by its first bytes, as many as `LONGEST_BEGINNING`, whether a file is one of age."""
    return beginning.startswith(_BEGINNINGS)


@contextmanager
def sealing(target: BinaryIO, recipients: Sequence[str]) -> Iterator[BinaryIO]:
    """Yield a file: what is written into it stands in the target, encrypted so that each recipient alone can read it.

    Nothing is held but what is under way.

    Args:
        target: opened for writing.
        recipients: `age1...` each.

    Raises:
        ConfigurationError: one is no recipient, or there is none.
        OSError: the target takes no more.
    """
    keys, kept = _recipients(recipients), _Target(target)
    try:
        with _through_a_pipe("wb", lambda clear: encrypt_io(clear, kept, keys)) as source:
            yield source
    except (EncryptError, BrokenPipeError) as failed:
        raise kept.error or failed from None


@contextmanager
def opening(file: BinaryIO, authentication: str) -> Iterator[BinaryIO]:
    """Yield what is in an encrypted file, in clear, as it is read; what comes was not changed by anybody.

    Args:
        file: opened for reading, at its beginning.
        authentication: what `age-keygen` wrote: the identities.

    Raises:
        ConfigurationError: there is no identity, or the file is for others or damaged.
    """
    keys = _identities(authentication)

    def decrypted(clear: BinaryIO) -> None:
        kept = _Target(clear)
        try:
            decrypt_io(file, kept, keys)
        except (DecryptError, OSError, ValueError):
            if kept.error is None:  # else nobody wants the rest
                raise ConfigurationError(_NOT_OURS) from None

    with _through_a_pipe("rb", decrypted) as source:
        yield source


class _Target:
    """A file that is written to by a library that does not say which error ended it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: Exception | None = None

    def write(self, content: bytes) -> int:
        """Write, and remember what was raised."""
        try:
            return self._file.write(content)
        except Exception as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Hand on what was written."""
        with suppress(BrokenPipeError):
            self._file.flush()


@contextmanager
def _through_a_pipe(mode: Literal["rb", "wb"], work: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """Yield one end of a pipe while work has the other in a thread of its own; what work raises counts first.

    Args:
        mode: of the end that is yielded.
        work: takes the other end.
    """
    reading, writing = os.pipe()
    ends = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
    ours, theirs = ends if mode == "rb" else reversed(ends)

    def worked() -> None:
        try:
            work(theirs)
        finally:
            with suppress(BrokenPipeError):
                theirs.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(worked)
        try:
            yield ours
        finally:
            with suppress(BrokenPipeError):
                ours.close()
            failed = done.exception()
            if failed is not None:
                raise failed


def require_recipients(recipients: Sequence[str]) -> None:
    """Make sure that `sealing` can do its work.

    Raises:
        ConfigurationError: one is no recipient, or there is none.
    """
    _recipients(recipients)


def _identities(authentication: str) -> list[x25519.Identity]:
    lines = [line.strip() for line in authentication.splitlines() if line.strip() and not line.startswith("#")]
    try:
        keys = [x25519.Identity.from_str(line) for line in lines]
    except IdentityError:
        keys = []
    if not keys:
        raise ConfigurationError("the identity file has no age identity (AGE-SECRET-KEY-1...)")
    return keys


def _recipients(recipients: Sequence[str]) -> list[x25519.Recipient]:
    if not recipients:
        raise ConfigurationError("secrets are only exported to a recipient: --recipient age1...")
    try:
        return [x25519.Recipient.from_str(recipient) for recipient in recipients]
    except RecipientError:
        raise ConfigurationError("a recipient is no age recipient (age1...)") from None
