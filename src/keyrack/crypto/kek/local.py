"""Key-encryption keys from the environment or from a file that only its owner can read."""

import base64
import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyrack.crypto.envelope import KEY_BYTES
from keyrack.errors import ConfigurationError, WrongKey
from keyrack.settings import Settings

_NONCE_BYTES = 12
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class LocalKeys:
    """One or more 256-bit keys held in memory: the first wraps, all unwrap, so a new one can be put in front."""

    is_remote = False
    has_failed = False

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ConfigurationError("a key-encryption key is 32 bytes in base64")
        self._keys = {fingerprint(key): AESGCM(key) for key in keys}
        self._current = fingerprint(keys[0])

    @property
    def current(self) -> str:
        """The id of the key that wraps, made of the key."""
        return self._current

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all keys, the one that wraps first."""
        return tuple(self._keys)

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the first key."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._current, nonce + self._keys[self._current].encrypt(nonce, material, context)

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key with the key that wrapped it.

        Raises:
            WrongKey: that key is not among these, or the bytes are damaged.
        """
        try:
            return self._keys[kek_id].decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (KeyError, InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise WrongKey from None

    async def refresh(self, *, services: bool = True) -> None:
        """Nothing changes while the process runs."""

    async def close(self) -> None:
        """Nothing is held open."""


class FileKeys(LocalKeys):
    """The keys of a file, which is read again when it has changed, so that a new key needs no restart.

    Args:
        path: the file.

    Raises:
        ConfigurationError: it is malformed, or others may read it; `WrongKey` if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ...] = ()
        self._load()

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the key that is in front by now: the one before may be about to be removed."""
        with suppress(ConfigurationError):  # what was read before stays in use
            await self.refresh()
        return await super().wrap(material, context)

    async def refresh(self, *, services: bool = True) -> None:  # noqa: ARG002 - there is none to call
        """Read the file again if it has changed.

        Raises:
            ConfigurationError: it cannot be used any more; the keys that were read before stay in use.
        """
        if self._state() != self._read:
            self._load()

    def _load(self) -> None:
        before = self._state()
        self._take(read_keys(self._path))
        self._read = before

    def _state(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def environment_keys(settings: Settings) -> LocalKeys:
    """Return the keys of `KEYRACK_KEY`.

    Raises:
        ConfigurationError: it is not set, or malformed.
    """
    if settings.key is None:
        raise ConfigurationError("KEYRACK_KEY_SOURCES names env, but KEYRACK_KEY is not set")
    return LocalKeys(_parse(settings.key.reveal().split(","), "KEYRACK_KEY"))


def read_keys(path: Path) -> Sequence[bytes]:
    """Return the keys of a file, the one that wraps first.

    Raises:
        ConfigurationError: it is malformed, or others may read it; `WrongKey` if there is none.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except FileNotFoundError:
        raise WrongKey(f"there is no key file {path}; `keyrack bootstrap` makes one on an empty database") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"the key file {path} cannot be read") from None
    if mode & _OPEN_TO_OTHERS:
        raise ConfigurationError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    return _parse(text.split(), f"the key file {path}")


def write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Exchange the content of a key file as a whole, for its owner alone; a crash leaves the old one or the new one.

    Raises:
        ConfigurationError: it cannot be written, such as a file that is mounted for reading only.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        owner = path.stat()
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:  # a command of root's leaves the file to whom it belongs
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigurationError(f"the key file {path} cannot be written: {error.strerror}") from None


def new_key() -> bytes:
    """Return a new key."""
    return os.urandom(KEY_BYTES)


def fingerprint(key: bytes) -> str:
    """Return the id of a key, which tells nothing of it."""
    return hashlib.sha256(b"keyrack key-encryption key" + key).hexdigest()[:16]


def generate(path: Path) -> bool:
    """Create a key file with a fresh key, readable by its owner alone (mode 0600); an existing one is left as it is.

    Returns:
        True if a file was made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if another process was first: its key stands
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _parse(texts: Sequence[str], where: str) -> list[bytes]:
    try:
        keys = [base64.b64decode(text.strip(), validate=True) for text in texts if text.strip()]
    except ValueError:  # also what `binascii.Error` is; not ASCII is a plain one
        raise ConfigurationError(f"{where} is not base64") from None
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError(f"{where} must hold keys of 32 bytes in base64")
    return keys
